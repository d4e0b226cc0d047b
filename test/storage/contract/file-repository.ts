import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { OutboxRepository } from '../../../src/shared-files/forwarding/outbox-repository.js'
import type { QueuedFile, StoredFile } from '../../../src/shared-files/keeping/file-record.js'
import type { FileRepository } from '../../../src/shared-files/keeping/file-repository.js'
import type { FileKey } from '../../../src/values/ids.js'
import { eventually } from '../../support/eventually.js'

/** An implementation to check, on a place of its own. */
export interface FileRepositoryFactory {
  /** The repository of a process. Opened again, without an end of the former: that process crashed. */
  open(): FileRepository
  /** One more process, which lives beside the others: its files and its outbox. */
  openProcess(): { readonly files: FileRepository; readonly outbox: OutboxRepository }
}

const BEFORE_ALL: FileKey = { target: '', source: '', fileId: '' }

/** @param path `<target>/<source>/<file-id>` */
function keyOf(path: string): FileKey {
  const [target = '', source = '', fileId = ''] = path.split('/')
  return { target, source, fileId }
}

function fileOf(path: string, change: Partial<StoredFile> = {}): StoredFile {
  return {
    ...keyOf(path),
    sizeBytes: 5,
    algorithm: 'sha512',
    hash: 'aa',
    acceptedAtMs: 1_000,
    series: 'ab',
    seriesNumber: 1_001,
    expiresAtMs: 9_000,
    signedAtMs: SIGNED_AT_MS,
    metadata: 'header=x\n',
    via: '',
    storedAtMs: 2_000,
    spool: undefined,
    ...change
  }
}

/** An entry of the outbox whose id is its key with dashes. */
function entryOf(path: string): QueuedFile {
  const { via, storedAtMs, spool, ...file } = fileOf(path)
  const how = { keyHash: 'sha256:00', passed: '', requestId: 'r' }
  const attempts = { attempts: 1, nextAttemptAtMs: 5, lastStatus: undefined, lastError: 'away' }
  return { ...file, ...how, ...attempts, id: path.replaceAll('/', '-'), state: 'pending' }
}

const SIGNED_AT_MS = 900
const NEW = { replacing: undefined }

function paths(files: readonly FileKey[]): string[] {
  return files.map(({ target, source, fileId }) => `${target}/${source}/${fileId}`)
}

/** Everything that a {@link FileRepository} promises, as tests of the implementation that `create` makes. */
export function testFileRepository(name: string, create: (t: TestContext) => FileRepositoryFactory): void {
  const check = (sentence: string, body: (factory: FileRepositoryFactory, files: FileRepository) => Promise<void>) =>
    test(`${name}: ${sentence}`, async t => {
      const factory = create(t)
      await body(factory, factory.open())
    })

  check('a file is found as it was kept, by the next process too', async (factory, files) => {
    const all = [
      fileOf('n1/s/f', { spool: 'a-1', via: 'r1/r2' }),
      fileOf('n1/s/g', { signedAtMs: undefined, hash: 'bb', sizeBytes: 0 })
    ]
    for (const file of all) assert.equal(await files.keep(file, NEW), 'kept')
    for (const repository of [files, factory.open()]) {
      for (const file of all) {
        const { hash, expiresAtMs, via } = file
        assert.deepEqual(await repository.find(file), file)
        assert.deepEqual(await repository.findHash(file), { hash, expiresAtMs, via })
      }
    }
    assert.equal(await files.find(keyOf('n1/s/h')), undefined)
    assert.equal(await files.findHash(keyOf('n1/s/h')), undefined)
  })

  check('a file takes the place of the version that was seen alone', async (factory, files) => {
    const [first, second] = [fileOf('n1/s/f', { spool: 'a-1' }), fileOf('n1/s/f', { hash: 'bb', spool: 'a-2' })]
    assert.equal(await files.keep(second, { replacing: first }), 'changed', 'there is none')
    assert.equal(await files.keep(first, NEW), 'kept')
    assert.equal(await files.keep(second, NEW), 'changed', 'there is one')
    const others: Partial<StoredFile>[] = [
      { hash: 'cc' },
      { storedAtMs: 2_001 },
      { acceptedAtMs: 1_001 },
      { via: 'r1' },
      { spool: 'a-0' }
    ]
    for (const change of others) {
      assert.equal(await files.keep(second, { replacing: { ...first, ...change } }), 'changed', JSON.stringify(change))
    }
    assert.deepEqual(await files.find(first), first)
    assert.equal(await files.keep(second, { replacing: first }), 'kept')
    assert.deepEqual(await factory.open().find(first), second)
  })

  check('of many that replace the same version at once, one does', async (factory, files) => {
    const first = fileOf('n1/s/f')
    const other = factory.openProcess().files
    for (const replacing of [undefined, first]) {
      const outcomes = await Promise.all(
        [files, files, other].map((repository, index) =>
          repository.keep(replacing === undefined ? first : fileOf('n1/s/f', { hash: `b${index}` }), { replacing })
        )
      )
      assert.deepEqual([...outcomes].sort(), ['changed', 'changed', 'kept'])
    }
    assert.match((await other.find(first))?.hash ?? '', /^b[012]$/)
  })

  check('a version that was settled is the same one, and one that was replaced is not settled', async (_f, files) => {
    const [first, second] = [fileOf('n1/s/f', { spool: 'a-1' }), fileOf('n1/s/f', { storedAtMs: 3, spool: 'a-2' })]
    const third = fileOf('n1/s/g', { spool: 'a-3' })
    await files.keep(first, NEW)
    await files.keep(third, NEW)
    assert.deepEqual((await files.unsettled()).map(({ spool }) => spool).sort(), ['a-1', 'a-3'])
    await files.markDurable(['a-1', 'unknown'])
    assert.deepEqual(await files.find(first), { ...first, spool: undefined })
    assert.deepEqual(await files.unsettled(), [third])
    assert.equal(await files.keep(second, { replacing: first }), 'kept')
    await files.markDurable(['a-1'])
    assert.equal((await files.find(first))?.spool, 'a-2')
  })

  check('a claimed entry of the outbox goes with the file of its holder alone', async factory => {
    const [late, next] = [factory.openProcess(), factory.openProcess()]
    const [file, insteadOf] = [fileOf('n1/s/f'), entryOf('n1/s/f')]
    const instead = { replacing: undefined, insteadOf, isClaimed: true }
    const due = { nowMs: 1_000_000, latestMs: 1_000_000, withUnreached: true }
    await late.outbox.add(insteadOf, NEW)
    await late.outbox.claimDue(['n1'], due, 1, 1)
    await eventually(
      'the lease to end',
      async () => (await next.outbox.claimDue(['n1'], due, 1, 3_600_000)).length === 1
    )
    assert.equal(await late.files.keep(file, instead), 'lost')
    assert.equal(await late.files.find(file), undefined)
    assert.deepEqual(await late.outbox.find(insteadOf.id), insteadOf)
    assert.equal(await next.files.keep(file, instead), 'kept')
    assert.equal(await next.outbox.find(insteadOf.id), undefined)
    assert.equal(await next.files.keep(fileOf('n1/s/g'), instead), 'lost', 'the entry is gone')
  })

  check('an entry of the outbox goes in the step that keeps its file, or not at all', async (factory, files) => {
    const outbox = factory.openProcess().outbox
    const [file, insteadOf, other] = [fileOf('n1/s/f'), entryOf('n1/s/f'), entryOf('n1/s/g')]
    const waiting = async () => Promise.all((await outbox.page('', 10)).map(({ id }) => outbox.find(id)))
    for (const entry of [insteadOf, other]) await outbox.add(entry, NEW)
    assert.equal(await files.keep(file, { replacing: file, insteadOf }), 'changed')
    assert.deepEqual(await waiting(), [insteadOf, other])
    assert.equal(await files.keep(file, { replacing: undefined, insteadOf }), 'kept')
    assert.deepEqual(await waiting(), [other])
    assert.equal(await files.undo(file, { replacing: undefined, insteadOf }), true)
    assert.deepEqual(await waiting(), [insteadOf, other], 'it is undone with the file')
    assert.equal(await files.undo(file, { replacing: undefined, insteadOf: entryOf('n1/s/h') }), false)
    assert.deepEqual(await waiting(), [insteadOf, other])
  })

  check('what was kept is undone: the former version is back, unless another one came', async (factory, files) => {
    const [first, second] = [fileOf('n1/s/f'), fileOf('n1/s/f', { hash: 'bb', spool: 'a-2' })]
    await files.keep(first, NEW)
    assert.equal(await files.undo(second, { replacing: first }), false, 'it was never kept')
    await files.keep(second, { replacing: first })
    assert.equal(await files.undo(second, { replacing: first }), true)
    assert.deepEqual(await factory.open().find(first), first)
    assert.equal(await files.undo(second, { replacing: undefined }), false, 'it is not there any more')
    assert.deepEqual(await files.find(first), first)
    assert.equal(await files.undo(first, { replacing: undefined }), true)
    assert.equal(await files.find(first), undefined)
  })

  check('a source has no more files than it may, however many come at once', async (factory, files) => {
    await factory.openProcess().outbox.add(entryOf('n9/s/waits'), NEW)
    const other = factory.openProcess().files
    const instead = { replacing: undefined, maxOfSource: 3 }
    const outcomes = await Promise.all(
      [files, other, files, other].map((repository, index) => repository.keep(fileOf(`n1/s/f${index}`), instead))
    )
    assert.deepEqual([...outcomes].sort(), ['kept', 'kept', 'too-many', 'too-many'])
    assert.equal(await files.countOfSource('s'), 3)
    assert.equal(await files.countOfSource('s2'), 0)
    assert.equal(await files.keep(fileOf('n1/s2/f'), instead), 'kept', 'another source')
    assert.equal(await files.keep(fileOf('n9/s/waits'), instead), 'kept', 'it takes the place of what waits')
    const [kept] = await files.page(BEFORE_ALL, 1)
    assert.ok(kept !== undefined)
    const next = { ...kept, hash: 'bb' }
    assert.equal(await files.keep(next, { replacing: kept, maxOfSource: 1 }), 'kept', 'it takes the place of one')
    assert.equal(await files.keep(fileOf('n1/s/more'), NEW), 'kept', 'without a limit')
  })

  check('the times of a version are changed while it is kept', async (_factory, files) => {
    const file = fileOf('n1/s/f')
    const times = { storedAtMs: 100, expiresAtMs: 7_100 }
    assert.equal(await files.redate(file, times), false)
    await files.keep(file, NEW)
    assert.equal(await files.redate(file, times), true)
    assert.deepEqual(await files.find(file), { ...file, ...times })
    assert.equal(await files.redate(file, times), false, 'it is another version since')
  })

  check('the very versions that are named are removed, and it says which', async (_factory, files) => {
    const [settled, replaced, stays] = [
      fileOf('n1/s/f', { spool: 'a-1' }),
      fileOf('n1/s/g'),
      fileOf('n1/s/h', { spool: 'a-3' })
    ]
    for (const file of [settled, replaced, stays]) await files.keep(file, NEW)
    await files.markDurable(['a-1'])
    await files.keep({ ...replaced, storedAtMs: 3 }, { replacing: replaced })
    assert.deepEqual(await files.remove([settled, replaced, fileOf('n1/s/none')]), [settled])
    assert.deepEqual(paths(await files.page(BEFORE_ALL, 10)), ['n1/s/g', 'n1/s/h'])
    assert.deepEqual(await files.remove([settled]), [])
    assert.deepEqual(await files.remove([]), [])
  })

  check('pages follow the order of keys, of all files or of those kept for a relay', async (_factory, files) => {
    const places = { 'n2/s/a': 'r1', 'n1/s/a': '', 'n1/s/b': 'r1/r2', 'n1/t/a': 'r10', 'n3/s/a': 'r2/r1' }
    for (const [path, via] of Object.entries(places)) await files.keep(fileOf(path, { via }), NEW)
    assert.deepEqual(paths(await files.page(BEFORE_ALL, 3)), ['n1/s/a', 'n1/s/b', 'n1/t/a'])
    assert.deepEqual(paths(await files.page(keyOf('n1/t/a'), 3)), ['n2/s/a', 'n3/s/a'])
    assert.deepEqual(paths(await files.pageOnBehalf('r1', BEFORE_ALL, 3)), ['n1/s/b', 'n2/s/a'])
    assert.deepEqual(paths(await files.pageOnBehalf('r1', keyOf('n1/s/b'), 3)), ['n2/s/a'])
    assert.deepEqual(paths(await files.pageOnBehalf('r1', BEFORE_ALL, 1)), ['n1/s/b'])
  })

  check('what a node has, and what has expired', async (_factory, files) => {
    const expiry = { 'n1/b/f': 300, 'n1/a/g': 400, 'n1/a/f': 200, 'n2/a/f': 100 }
    for (const [path, expiresAtMs] of Object.entries(expiry)) await files.keep(fileOf(path, { expiresAtMs }), NEW)
    assert.deepEqual(paths(await files.forTarget('n1', undefined, 100, 10)), ['n1/a/f', 'n1/a/g', 'n1/b/f'])
    assert.deepEqual(paths(await files.forTarget('n1', 'f', 200, 10)), ['n1/b/f'])
    assert.deepEqual(paths(await files.forTarget('n1', undefined, 0, 1)), ['n1/a/f'])
    assert.deepEqual(paths(await files.expired(300, 10, 0)), ['n2/a/f', 'n1/a/f', 'n1/b/f'])
    assert.deepEqual(paths(await files.expired(300, 1, 1)), ['n1/a/f'])
    assert.deepEqual(await files.expired(99, 10, 0), [])
  })

  check('files are counted, with their size', async (_factory, files) => {
    assert.deepEqual(await files.totals(), { count: 0, bytes: 0 })
    await files.keep(fileOf('n1/s/f', { sizeBytes: 7 }), NEW)
    await files.keep(fileOf('n1/s/g', { sizeBytes: 5_000_000_000 }), NEW)
    assert.deepEqual(await files.totals(), { count: 2, bytes: 5_000_000_007 })
  })

  check(
    'the mark of acceptance outlives the process, is never lowered, and each raise learns what it was',
    async (factory, files) => {
      const { series, before } = await files.raiseAcceptanceMark(1_000)
      assert.match(series, /^[0-9a-f]{32}$/)
      assert.equal(before, 0)
      const processes = [files, factory.openProcess().files, factory.openProcess().files]
      const marks = await Promise.all(processes.map(process => process.raiseAcceptanceMark(5_000)))
      assert.deepEqual(
        marks.map(mark => mark.before).sort(),
        [1_000, 5_000, 5_000],
        'one alone has the numbers in between'
      )
      assert.ok(marks.every(mark => mark.series === series))
      assert.deepEqual(await files.raiseAcceptanceMark(3_000), { series, before: 5_000 })
      assert.deepEqual(await factory.open().raiseAcceptanceMark(0), { series, before: 5_000 })
    }
  )
}
