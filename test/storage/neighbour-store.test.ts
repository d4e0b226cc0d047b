import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { openDatabase } from '../../src/storage/database.js'
import { createNeighbourStore } from '../../src/storage/neighbour-store.js'
import { temporaryFolder } from '../support/neighbours.js'

test('what a neighbour showed is known again after the database was opened anew', async t => {
  const file = join(await temporaryFolder(t), 'state.db')
  const first = openDatabase(file, 'state')
  const store = createNeighbourStore(first)
  assert.equal(store.version('relay1'), undefined)
  store.remember('relay1', '1.0.0', 1_000)
  store.remember('relay2', 'x'.repeat(5_000), 1_000)
  first.close()
  const second = openDatabase(file, 'state')
  t.after(() => second.close())
  const again = createNeighbourStore(second)
  assert.equal(again.version('relay1'), '1.0.0')
  assert.equal(again.version('relay2')?.length, 64)
  assert.equal(again.version('relay3'), undefined)
})

test('a version that changes all the time is written once a minute at most, wherever the clock is set', async t => {
  const db = openDatabase(join(await temporaryFolder(t), 'state.db'), 'state')
  t.after(() => db.close())
  let uptimeMs = 0
  const store = createNeighbourStore(db, () => uptimeMs)
  const changes = () => Number(db.prepare('SELECT total_changes()').pluck().get())
  store.remember('relay1', '1', 0)
  const before = changes()
  for (let index = 0; index < 100; index += 1) store.remember('relay1', String(index), index)
  assert.equal(changes(), before)
  uptimeMs = 60_000
  store.remember('relay1', '2', -1e12)
  assert.equal(store.version('relay1'), '2')
  assert.equal(store.forget('relay1'), false)
  uptimeMs = 120_000
  assert.equal(store.forget('relay1'), true)
  assert.equal(store.version('relay1'), undefined)
  assert.equal(store.forget('relay1'), false)
})
