import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EventLog } from '../../src/remote-run/event-log/event-log.js'
import { errorCode } from '../../src/values/failures/system-error.js'
import type { Logger } from '../../src/values/logger.js'

/** A device whose disk is full. */
const FULL = '/dev/full'

test('a log on a full disk loses output alone, says so once with its path, and ends all the same', async () => {
  const lines: unknown[] = []
  const note = (level: string) => (details: { readonly err?: unknown; readonly path?: unknown }, message: string) => {
    lines.push([level, message, details.path, typeof errorCode(details.err)])
  }
  const logger: Logger = { error: note('error'), warn: note('warn'), info: note('info'), debug: note('debug') }
  const log = await EventLog.create(FULL, 'run', logger)
  log.append({ event: 'start', relay: 'root' })
  log.append({ event: 'output', node: 'a', data: 'much\n' })
  await log.drained()
  log.append({ event: 'node', node: 'a', outcome: 'done' })
  await log.close()
  assert.deepEqual(lines, [
    ['error', 'lost output of a run: cannot write its log', FULL, 'string'],
    ['warn', 'cannot cut an incomplete event off the log of a run; the next event overwrites it', FULL, 'string'],
    ['error', 'cannot fsync the log of a run', FULL, 'string']
  ])
  assert.ok(log.closed, 'readers wait for nothing more')
  assert.equal(log.writtenBytes, 0)
  assert.deepEqual(log.unwritten, [
    '{"seq":1,"event":"start","run":"run","relay":"root"}\n',
    '{"seq":3,"event":"node","run":"run","node":"a","outcome":"done"}\n'
  ])
})
