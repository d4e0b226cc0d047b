import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FileProblems } from '../../src/agent/files/file-problems.js'
import { type Logger, silentLogger } from '../../src/values/logging/logger.js'

test('a file that fails and succeeds in turns has 30 lines a minute, and is shown while it fails', () => {
  const lines: object[] = []
  const problems = new FileProblems({ ...silentLogger, error: (details: object) => void lines.push(details) } as Logger)
  for (let turns = 0; turns < 40; turns++) {
    problems.succeeded('agent.share[0]')
    problems.failed('agent.share[0]', new Error(`it is a link of user ${turns}`), false)
  }
  assert.equal(lines.length, 30)
  assert.deepEqual(problems.shown, ['agent.share[0]: it is a link of user 39'])
  problems.succeeded('agent.share[0]')
  assert.deepEqual(problems.shown, [])
})

test('a file that waits for the link is no error, and becomes one when it fails all the same', () => {
  const lines: string[] = []
  const note = (_details: object, message: string) => void lines.push(message)
  const problems = new FileProblems({ ...silentLogger, info: note, error: note } as Logger)
  for (const waits of [true, true, false, false]) problems.failed('agent.receive[0]', new Error('refused'), waits)
  assert.deepEqual(lines, ['file waits for the link', 'cannot receive file; trying again'])
})
