import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { NewRun } from '../../../src/remote-run/records/run-repository.js'
import type { QueuedFile, StoredFile } from '../../../src/shared-files/keeping/file-record.js'
import type { Repositories } from '../../../src/storage/repositories/repositories.js'
import { storageFailureKind } from '../../../src/values/failures/storage-failure.js'
import { LEASE_MS, nodeOf, RUN } from './run-records.js'

/** A storage to check, on a place of its own. */
export interface StorageFactory {
  open(): {
    readonly repositories: Repositories
    /** Leaves it no room for anything more. */
    fill(): void
    /** Gives it room again. */
    makeRoom(): void
  }
}

/** Records that need room of their own. */
const LONG = 'x'.repeat(100_000)

const FILE: StoredFile = {
  target: 'n1',
  source: 's',
  fileId: 'kept',
  sizeBytes: 5,
  algorithm: 'sha512',
  hash: 'aa',
  acceptedAtMs: 1_000,
  series: undefined,
  seriesNumber: undefined,
  expiresAtMs: 9_000,
  signedAtMs: undefined,
  metadata: LONG,
  via: '',
  storedAtMs: 2_000,
  spool: undefined
}

const { via: _via, storedAtMs: _stored, spool: _spool, ...SHARED } = FILE

const ENTRY: QueuedFile = {
  ...SHARED,
  id: 'entry',
  fileId: 'waits',
  state: 'pending',
  keyHash: 'sha256:00',
  passed: '',
  requestId: 'r',
  attempts: 1,
  nextAttemptAtMs: 5,
  lastStatus: undefined,
  lastError: 'away'
}

const NEW = { replacing: undefined }
const LONG_RUN: NewRun = { ...RUN, askedBy: LONG }

/** What each repository promises where a storage has no room, as tests of the one that `create` makes. */
export function testStorageFailure(name: string, create: (t: TestContext) => StorageFactory): void {
  test(`${name}: a storage without room says so in its own words, changes nothing, and still reads`, async t => {
    const { repositories, fill, makeRoom } = create(t).open()
    const { files, outbox, runs, neighbours } = repositories
    await outbox.add({ ...ENTRY, id: 'before', fileId: 'before', metadata: '' }, NEW)
    await runs.begin({ ...RUN, id: 'before' }, [nodeOf('a')], LEASE_MS)
    const writes: Readonly<Record<string, () => Promise<unknown>>> = {
      'files.keep': () => files.keep(FILE, NEW),
      'outbox.add': () => outbox.add(ENTRY, NEW),
      'outbox.recordAttempt': async () => {
        const due = { nowMs: 1_000, latestMs: 1_000, withUnreached: true }
        await outbox.claimDue(['n1'], due, 1, LEASE_MS)
        const attempt = { state: 'failed', nextAttemptAtMs: 9, lastStatus: 403, lastError: LONG } as const
        await outbox.recordAttempt('before', attempt)
      },
      'runs.begin': () => runs.begin(LONG_RUN, [], LEASE_MS),
      'runs.note': () => runs.note('before', [nodeOf('a', { outcome: 'refused', message: LONG })]),
      'neighbours.remember': () => neighbours.remember('relay', LONG, 1)
    }
    fill()
    for (const [what, write] of Object.entries(writes)) {
      await assert.rejects(write(), error => storageFailureKind(error) === 'full', what)
    }
    assert.equal(await files.find(FILE), undefined)
    assert.equal(await outbox.find(ENTRY.id), undefined)
    assert.equal((await outbox.find('before'))?.attempts, 1)
    assert.equal(await runs.find(LONG_RUN.id), undefined)
    assert.equal((await runs.nodes('before', 1))[0]?.outcome, 'queued')
    assert.equal((await neighbours.versions()).size, 0)
    makeRoom()
    for (const write of Object.values(writes)) await write()
    assert.deepEqual(await files.find(FILE), FILE)
    assert.equal((await outbox.find('before'))?.attempts, 2, 'the claim was not lost with the failure')
    assert.equal((await runs.find(LONG_RUN.id))?.state, 'running')
  })
}
