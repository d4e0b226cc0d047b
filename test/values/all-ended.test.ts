import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allEnded } from '../../src/values/time/all-ended.js'

test('a failure is told once everything has ended', async () => {
  const order: string[] = []
  let finish: () => void = () => undefined
  const slow = new Promise<void>(resolve => {
    finish = resolve
  }).then(() => order.push('slow part'))
  const all = allEnded([slow, Promise.reject(new Error('no room'))]).catch((error: Error) => order.push(error.message))
  await new Promise(resolve => setImmediate(resolve))
  assert.deepEqual(order, [])
  finish()
  await all
  assert.deepEqual(order, ['slow part', 'no room'])
  await allEnded([Promise.resolve(1), slow])
})
