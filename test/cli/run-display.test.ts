import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RunDisplay } from '../../src/cli/output/run-display.js'
import { RunTally } from '../../src/cli/output/run-tally.js'
import type { NodeOutcome, RunEvent } from '../../src/values/runs/run-event.js'
import { CLEAR, FakeStream } from '../support/fake-stream.js'

function node(id: string, outcome: NodeOutcome, more: Partial<RunEvent> = {}): RunEvent {
  return { seq: 1, run: 'R', event: 'node', node: id, outcome, ...more }
}

function start(nodes: readonly string[], { isTTY = true, isJson = false } = {}) {
  const tally = new RunTally()
  tally.expect(nodes)
  const streams = { stdout: new FakeStream(isTTY), stderr: new FakeStream(isTTY) }
  return { ...streams, display: new RunDisplay(tally, isJson, streams) }
}

test('a line below counts what is done, running, failed and unreachable, and goes at the end', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { display, stdout, stderr } = start(['a', 'b', 'c', 'd', 'e'])
  await display.show(node('a', 'running'))
  assert.deepEqual(stderr.screen, ['0 of 5 done, 4 queued, 1 running'])

  await display.show(node('a', 'done', { exit_code: 0 }))
  await display.show(node('b', 'running'))
  assert.deepEqual(stderr.screen, ['0 of 5 done, 4 queued, 1 running'], 'at most ten times a second')
  t.mock.timers.tick(100)
  assert.deepEqual(stderr.screen, ['1 of 5 done, 3 queued, 1 running'])

  await display.show(node('c', 'done', { exit_code: 3 }))
  await display.show(node('d', 'unreachable', { message: 'no route' }))
  t.mock.timers.tick(100)
  const failures = ['c: failed, exit code 3', 'd: unreachable: no route']
  assert.deepEqual(stderr.screen, [...failures, '1 of 5 done, 1 queued, 1 running, 1 failed, 1 unreachable'])

  await display.show(node('e', 'running')) // so that the next change is due when it ends
  display.finish(0)
  assert.deepEqual(stderr.screen, [...failures, ''])
  assert.equal(stdout.text, '1 of 5 done, 2 running, 1 failed, 1 unreachable\n')
  const { text } = stderr
  t.mock.timers.tick(1_000)
  assert.equal(stderr.text, text, 'nothing comes after the end')
})

test('output comes above the line, which is cut to the width of the terminal', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { display, stdout, stderr } = start(['a', 'b'])
  stderr.columns = 12
  await display.show(node('a', 'running'))
  assert.deepEqual(stderr.screen, ['0 of 2 done'])
  const { length } = stderr.text
  await display.show({ seq: 2, run: 'R', event: 'output', node: 'a', data: 'one\n' })
  assert.equal(stdout.text, 'a: one\n')
  assert.ok(stderr.text.slice(length).startsWith(CLEAR + CLEAR), 'taken away before, and shown again after')
  assert.deepEqual(stderr.screen, ['0 of 2 done'])
})

test('without a terminal, and as JSON, there is no such line', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  for (const options of [{ isTTY: false }, { isJson: true }]) {
    const { display, stderr } = start(['a'], options)
    await display.show(node('a', 'running'))
    await display.show(node('a', 'done', { exit_code: 0 }))
    t.mock.timers.tick(1_000)
    display.finish(0)
    assert.equal(stderr.text, '')
  }
})
