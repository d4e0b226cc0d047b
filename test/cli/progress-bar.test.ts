import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ProgressBar } from '../../src/cli/output/progress-bar.js'
import { FakeStream } from '../support/fake-stream.js'

const MIB = 1024 * 1024

function start(t: TestContext, totalBytes: number | undefined, isTTY = true) {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const streams = { stdout: new FakeStream(isTTY), stderr: new FakeStream(isTTY) }
  const bar = new ProgressBar('report', totalBytes, streams)
  const at = (bytes: number) => {
    bar.update(bytes)
    t.mock.timers.tick(100)
    return streams.stderr.screen
  }
  return { ...streams, bar, at }
}

test('a bar fills up, and is gone at the end', t => {
  const { bar, at, stdout, stderr } = start(t, 8 * MIB)
  assert.deepEqual(at(0), ['report [........................] 0% of 8.0 MiB'])
  assert.deepEqual(at(2 * MIB), ['report [######..................] 25% of 8.0 MiB'])
  assert.deepEqual(at(8 * MIB), ['report [########################] 100% of 8.0 MiB'])
  bar.clear()
  assert.deepEqual(stderr.screen, [''])
  assert.equal(stdout.text, '')
})

test('without a total, what has come is shown; without a terminal, nothing', t => {
  assert.deepEqual(start(t, undefined).at(2 * MIB), ['report 2.0 MiB'])
  t.mock.timers.reset()
  const { at, stdout, stderr } = start(t, 8 * MIB, false)
  at(MIB)
  assert.deepEqual([stdout.text, stderr.text], ['', ''])
})
