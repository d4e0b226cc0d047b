import assert from 'node:assert/strict'
import { test } from 'node:test'
import { outboxStatements } from '../../../src/storage/sqlite/outbox-statements.js'
import { createOutboxRepository } from '../../../src/storage/sqlite/sqlite-outbox.js'
import { ProcessClaims } from '../../support/process-claims.js'
import { stateDatabases } from '../../support/state-databases.js'
import { testOutboxRepository } from '../contract/outbox-repository.js'

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
