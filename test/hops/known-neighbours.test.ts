import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KnownNeighbours } from '../../src/hops/known-neighbours.js'
import { createNeighbourRepository } from '../../src/storage/sqlite/sqlite-neighbours.js'
import { stateDatabases } from '../support/parts/state-databases.js'

test('what a neighbour showed is known again after a restart, and long versions are cut', async t => {
  const databases = stateDatabases(t)
  const known = await KnownNeighbours.load(createNeighbourRepository(databases.open()))
  assert.equal(known.version('relay1'), undefined)
  const written = Promise.all([
    known.remember('relay1', '1.0.0', 1_000),
    known.remember('relay2', 'x'.repeat(5_000), 1_000)
  ])
  assert.equal(known.version('relay1'), '1.0.0', 'it counts before it is written')
  await written
  const again = await KnownNeighbours.load(createNeighbourRepository(databases.open()))
  assert.equal(again.version('relay1'), '1.0.0')
  assert.equal(again.version('relay2')?.length, 64)
  assert.equal(again.version('relay3'), undefined)
})

test('a version that changes all the time is written once a minute at most, wherever the clock is set', async t => {
  const db = stateDatabases(t).open()
  let uptimeMs = 0
  const known = await KnownNeighbours.load(createNeighbourRepository(db), () => uptimeMs)
  const changes = () => Number(db.prepare('SELECT total_changes()').pluck().get())
  await known.remember('relay1', '1', 0)
  const before = changes()
  for (let index = 0; index < 100; index += 1) await known.remember('relay1', String(index), index)
  assert.equal(changes(), before)
  uptimeMs = 60_000
  await known.remember('relay1', '2', -1e12)
  assert.equal(known.version('relay1'), '2')
  assert.equal(await known.forget('relay1'), false)
  uptimeMs = 120_000
  assert.equal(await known.forget('relay1'), true)
  assert.equal(known.version('relay1'), undefined)
  assert.equal(await known.forget('relay1'), false)
})
