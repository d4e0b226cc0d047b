import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { FileTimers } from '../../src/agent/files/file-timers.js'

/** Timers whose time passes as the test says. */
function setUp(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let nowMs = 0
  const pass = (ms: number) => {
    nowMs += ms
    t.mock.timers.tick(ms)
  }
  return { timers: new FileTimers(() => nowMs), pass }
}

test('changes are acted upon once, after the last of them', t => {
  const { timers, pass } = setUp(t)
  const looks: string[] = []
  for (let changes = 0; changes < 5; changes++) {
    timers.settle('share 0', () => void looks.push('share 0'))
    pass(400)
  }
  assert.equal(looks.length, 0)
  pass(100)
  assert.equal(looks.length, 1)
  pass(60_000)
  assert.equal(looks.length, 1)
})

test('a file that never stops changing is looked at every 5 s', t => {
  const { timers, pass } = setUp(t)
  const looks: string[] = []
  for (let changes = 0; changes < 150; changes++) {
    timers.settle('share 0', () => void looks.push('share 0'))
    pass(100)
  }
  assert.equal(looks.length, 3)
})

test('entries wait beside each other, and none waits any more after the end of all', t => {
  const { timers, pass } = setUp(t)
  const acted: string[] = []
  timers.retry('share 0', () => void acted.push('retry 0'))
  timers.retry('share 1', () => void acted.push('retry 1'))
  timers.settle('share 0', () => void acted.push('change 0'))
  timers.endRetry('share 1')
  pass(30_000)
  assert.deepEqual(acted, ['change 0', 'retry 0'])
  timers.every('share', 60_000, () => void acted.push('look'))
  pass(60_000)
  pass(60_000)
  assert.ok(acted.filter(what => what === 'look').length >= 2)
  acted.length = 0
  timers.retry('share 0', () => void acted.push('retry 0'))
  timers.endAll()
  pass(600_000)
  assert.deepEqual(acted, [])
})
