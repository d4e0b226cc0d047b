import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { QueuedFile } from '../../../src/shared-files/keeping/file-record.js'
import { createOutboxRepository } from '../../../src/storage/sqlite/sqlite-outbox.js'
import { toOutboxRow } from '../../../src/storage/sqlite/statements/outbox-rows.js'
import { outboxStatements } from '../../../src/storage/sqlite/statements/outbox-statements.js'
import { ProcessClaims } from '../../support/parts/process-claims.js'
import { stateDatabases } from '../../support/parts/state-databases.js'
import { testOutboxRepository } from '../contract/outbox-repository.js'

const ENTRY: QueuedFile = {
  id: '',
  target: 'n2',
  source: 'n1',
  fileId: '',
  state: 'failed',
  sizeBytes: 5,
  algorithm: 'sha512',
  hash: 'aa',
  acceptedAtMs: 1_000,
  series: undefined,
  seriesNumber: undefined,
  expiresAtMs: 9_000,
  signedAtMs: undefined,
  metadata: 'header=x',
  keyHash: 'k',
  passed: '',
  requestId: 'r',
  attempts: 1,
  nextAttemptAtMs: 50,
  lastStatus: 403,
  lastError: 'no'
}

testOutboxRepository('SQLite', t => {
  const databases = stateDatabases(t)
  const claims = new ProcessClaims()
  return {
    open: () => createOutboxRepository(databases.open(), claims.next()),
    openBeside: () => createOutboxRepository(databases.open(), claims.beside())
  }
})

test('a page of the entries of a node is read without the others', t => {
  const db = stateDatabases(t).open()
  const { pageOf } = outboxStatements(db)
  const steps = db
    .prepare<[object], { readonly detail: string }>(`EXPLAIN QUERY PLAN ${pageOf.source}`)
    .all({ nodeId: 'n', after: '', limit: 1 })
    .map(({ detail }) => detail)
  for (const side of ['source', 'target']) {
    assert.ok(
      steps.includes(`SEARCH outbox USING COVERING INDEX outbox_of_${side} (${side}=? AND id>?)`),
      steps.join('\n')
    )
  }
})

test('whoever looks for what is due reads the first entries of a target, not all', t => {
  const db = stateDatabases(t).open()
  const { dueTargets, dueOfTarget, nextDue, targets } = outboxStatements(db)
  const stepsOf = ({ source }: { readonly source: string }) =>
    db
      .prepare<[object], { readonly detail: string }>(`EXPLAIN QUERY PLAN ${source}`)
      .all({ target: '', targets: '[]', claimed: '[]', nowMs: 0, latestMs: 0, withUnreached: 0, limit: 1 })
      .map(({ detail }) => detail)
      .filter(detail => detail.includes('outbox'))
  const ofTarget = 'INDEX outbox_in_time (state=? AND target=?'
  const ranges = ['<?', '>? AND next_attempt_at<?', '>?']
  for (const statement of [dueTargets, dueOfTarget]) {
    assert.deepEqual(
      stepsOf(statement),
      ranges.map(range => `SEARCH outbox USING COVERING ${ofTarget} AND next_attempt_at${range})`)
    )
  }
  assert.deepEqual(stepsOf(nextDue), [
    `SEARCH outbox USING COVERING ${ofTarget} AND next_attempt_at>?)`,
    `SEARCH outbox USING COVERING ${ofTarget})`
  ])
  assert.deepEqual(stepsOf(targets), [
    'SEARCH outbox USING COVERING INDEX outbox_in_time (state=?)',
    `SEARCH outbox USING COVERING ${ofTarget.replace('target=?', 'target>?')})`
  ])
})

test('all entries are made due in steps, between which others have their turn', async t => {
  const db = stateDatabases(t).open()
  const outbox = createOutboxRepository(db, new ProcessClaims().next())
  const { insert } = outboxStatements(db)
  const addAll = db.transaction(() => {
    for (let index = 0; index < 2_000; index += 1)
      insert.run(toOutboxRow({ ...ENTRY, id: `${index}`, fileId: `f${index}` }))
    insert.run(toOutboxRow({ ...ENTRY, id: 'due', fileId: 'due', state: 'pending', nextAttemptAtMs: 5 }))
  })
  addAll()
  let changed = 0
  let changedInTurn = 0
  let most = 0
  db.function('changed', () => {
    if (changedInTurn === 0)
      setImmediate(() =>
        setImmediate(() => {
          changedInTurn = 0
        })
      )
    changed += 1
    changedInTurn += 1
    most = Math.max(most, changedInTurn)
    return null
  })
  db.exec('CREATE TEMP TRIGGER changes AFTER UPDATE ON outbox BEGIN SELECT changed(); END')
  assert.equal(await outbox.makeDue(10), 2_001)
  assert.equal(changed, 2_000, 'one was due')
  assert.ok(most <= 1_000, `${most} in one turn`)
  assert.equal(
    (await outbox.claimDue(['n2'], { nowMs: 10, latestMs: 100, withUnreached: false }, 9_000, 1)).length,
    2_001
  )
})
