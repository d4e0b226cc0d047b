import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { openDatabase } from '../../src/storage/database.js'
import { createOutboxStore, type OutboxRow } from '../../src/storage/outbox-store.js'
import { temporaryFolder } from '../support/neighbours.js'

const ROW: Omit<OutboxRow, 'id' | 'target' | 'fileId' | 'state'> = {
  source: 'node-1',
  sizeBytes: 1,
  algorithm: 'sha512',
  hash: '00',
  acceptedAtMs: 0,
  expiresAtMs: 1,
  signedAtMs: null,
  metadata: '',
  keyHash: '',
  passed: '',
  requestId: '',
  attempts: 1,
  nextAttemptAtMs: 0,
  lastStatus: null,
  lastError: 'away'
}

test('what waits is counted, by state and by target, however much of it a list shows', async t => {
  const db = openDatabase(join(await temporaryFolder(t), 'state.db'), 'state')
  t.after(() => db.close())
  const store = createOutboxStore(db)
  const put = (id: string, target: string, state: OutboxRow['state']) =>
    store.put({ ...ROW, id, target, fileId: id, state })
  for (let index = 0; index < 12; index++) put(`a${index}`, 'node-a', 'pending')
  put('b', 'node-b', 'pending')
  put('c', 'node-b', 'failed')
  assert.equal(store.list(10).length, 10)
  assert.deepEqual(store.countByTarget(), [
    { target: 'node-a', count: 12 },
    { target: 'node-b', count: 1 }
  ])
  assert.deepEqual([store.countOfState('pending'), store.countOfState('failed')], [13, 1])
  assert.deepEqual(
    store.listOf('node-b', 10).map(({ id }) => id),
    ['b', 'c']
  )
  assert.deepEqual([store.countOf('node-b', 'pending'), store.countOf('node-b', 'failed')], [1, 1])
  assert.equal(store.listOf('node-1', 10).length, 10)
  assert.equal(store.countOf('node-1', 'pending'), 13)
  assert.equal(store.countOf('node', 'pending'), 0)
})
