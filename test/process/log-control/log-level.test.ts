import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readLevelAnswer, readLevelRequest } from '../../../src/process/log-control/control-messages.js'
import { LogLevelControl } from '../../../src/process/log-control/log-level.js'
import { LOG_LEVELS } from '../../../src/values/logging/logger.js'

/** A logger that keeps what it would write. */
function recorder() {
  const lines: string[] = []
  const logger = {
    level: 'info',
    info: (_details: object, message: string) => {
      if (['info', 'debug', 'trace'].includes(logger.level)) lines.push(message)
    }
  }
  return { logger, lines }
}

test('a temporary level counts until its time is over, whatever is configured meanwhile', t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { logger, lines } = recorder()
  const control = new LogLevelControl(logger, 'info')
  control.set('debug', 60_000, 1_000)
  assert.equal(logger.level, 'debug')
  assert.deepEqual(control.current(31_000), { level: 'debug', ttlMs: 30_000 })
  control.configure('error')
  assert.equal(logger.level, 'debug', 'a reload does not end it')
  t.mock.timers.tick(59_999)
  assert.equal(logger.level, 'debug')
  t.mock.timers.tick(1)
  assert.equal(logger.level, 'error', 'the level of the reload comes into force')
  assert.deepEqual(control.current(), { level: 'error', ttlMs: undefined })
  control.configure('warn')
  assert.equal(logger.level, 'warn')
  assert.deepEqual(lines, ['log level set for a while', 'log level reset'], 'both ends are in the log')
})

test('a second change replaces the first, and one without a level keeps the present one', t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { logger, lines } = recorder()
  const control = new LogLevelControl(logger, 'info')
  control.set('fatal', 10_000)
  assert.deepEqual(lines, ['log level set for a while'], 'also a quieter one is told')
  control.set('trace', 20_000)
  t.mock.timers.tick(10_000)
  assert.equal(logger.level, 'trace', 'the time of the first one is over, and ends nothing')
  control.set(undefined, 30_000)
  t.mock.timers.tick(29_999)
  assert.equal(logger.level, 'trace')
  t.mock.timers.tick(1)
  assert.equal(logger.level, 'info')
})

test('of any line only a request with a level and a time in range is understood', () => {
  const ttl = fc.integer({ min: 1_000, max: 86_400_000 })
  fc.assert(
    fc.property(fc.constantFrom(...LOG_LEVELS), ttl, (level, ttlMs) => {
      assert.deepEqual(readLevelRequest(JSON.stringify({ level, ttl_ms: ttlMs })), { level, ttl_ms: ttlMs })
      const answer = { kind: 'relay', name: 'r', level, ttl_ms: ttlMs }
      assert.deepEqual(readLevelAnswer(JSON.stringify(answer)), answer)
    })
  )
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), line => {
      for (const read of [readLevelRequest, readLevelAnswer]) {
        try {
          read(line)
        } catch (error) {
          assert.ok(error instanceof Error)
        }
      }
    })
  )
  for (const wrong of [
    '',
    '[]',
    'null',
    '{"level":"loud"}',
    '{"ttl_ms":999}',
    '{"ttl_ms":86400001}',
    '{"ttl_ms":"1"}'
  ]) {
    assert.throws(() => readLevelRequest(wrong), /expected/, wrong)
  }
  assert.throws(() => readLevelAnswer('{"error":"no"}'), /^Error: no$/)
  assert.throws(() => readLevelAnswer('{"kind":"relay"}'), /not understood/)
})
