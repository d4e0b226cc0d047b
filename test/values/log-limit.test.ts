import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogLimit } from '../../src/values/logging/log-limit.js'

function setUp() {
  const lines: [level: string, message: string, details: object][] = []
  const ends: (() => void)[] = []
  const logger = {
    info: (details: object, message: string) => void lines.push(['info', message, details]),
    warn: (details: object, message: string) => void lines.push(['warn', message, details]),
    error: (details: object, message: string) => void lines.push(['error', message, details])
  }
  const limit = new LogLimit(logger, { afterWindow: end => void ends.push(end) })
  return { lines, limit, endWindow: () => ends.splice(0).forEach(end => void end()) }
}

test('lines beyond the first ones of a minute are summed up at its end, and then begin anew', () => {
  const { lines, limit, endWindow } = setUp()
  for (let count = 0; count < 35; count++) limit.warn('192.0.2.1', { count }, 'no link')
  assert.equal(lines.length, 30)
  endWindow()
  assert.deepEqual(lines.slice(30), [
    ['warn', 'no link: 5 more lines, not written', { heldBack: 5, sources: 1, within: '1min' }]
  ])
  limit.warn('192.0.2.1', {}, 'no link')
  endWindow()
  assert.equal(lines.length, 32, 'nothing was held back in the second minute')
})

test('a source that floods the log does not hide the lines about another, and many do not fill it', () => {
  const { lines, limit, endWindow } = setUp()
  for (let count = 0; count < 1_000; count++) limit.info('192.0.2.1', {}, 'refused')
  limit.info('192.0.2.2', { id: 'other' }, 'refused')
  assert.deepEqual(lines.at(-1), ['info', 'refused', { id: 'other' }])
  for (let count = 0; count < 100_000; count++) limit.info(`source-${count}`, {}, 'refused')
  assert.equal(lines.length, 200)
  endWindow()
  assert.equal(lines.length, 201)
})

test('messages are counted apart', () => {
  const { lines, limit } = setUp()
  for (let count = 0; count < 50; count++) {
    limit.info('192.0.2.1', {}, 'refused')
    limit.warn('192.0.2.1', {}, 'no link')
  }
  assert.equal(lines.length, 60)
})

test('where the sources are neighbours, each of thousands has its lines', () => {
  let lines = 0
  const count = () => {
    lines += 1
  }
  const logger = { info: count, warn: count, error: count }
  const limit = new LogLimit(logger, {
    afterWindow: () => undefined,
    linesInAll: Number.POSITIVE_INFINITY,
    maxSources: 5_000
  })
  for (let source = 0; source < 5_000; source++) {
    for (let times = 0; times < 32; times++) limit.info(`node ${source}`, {}, 'opened')
  }
  assert.equal(lines, 150_000)
})
