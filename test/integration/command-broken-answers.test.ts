import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import { BrokenAnswerError, explainingBody } from '../../src/relay-client/answer-body.js'
import { temporaryFolder, treeline } from '../support/machine/treeline-command.js'
import { type Handler, startSmallRelay } from '../support/relays/small-relay.js'

const RUN = '01K9ZT5R9C8YQ2W7C0M3V6X1AB'

/** Sends the beginning of an answer, and breaks the connection within its body. */
function beginsWith(start: string): Handler {
  return (_, response) => {
    response.writeHead(200, { 'content-length': 100_000 })
    response.write(start, () => response.destroy())
  }
}

test('an answer that breaks off is told as that, by every command', async t => {
  const relay = await startSmallRelay(t, {
    'GET nodes': beginsWith('{"nodes": ['),
    'GET trace/node-1': beginsWith('{'),
    [`GET runs/${RUN}/events`]: beginsWith(`{"seq": 7, "event": "start", "run": "${RUN}"}\n{"seq": 8, "ev`),
    'GET shared-files/node-2/node-1/file': beginsWith('hello')
  })
  const folder = await temporaryFolder(t)
  const destination = join(folder, 'file')
  const why = `treeline: the answer of the relay at ${relay.url} broke off: it closed the connection (UND_ERR_SOCKET)`
  const goesOn = `; \`treeline runs events ${RUN} --after 7\` goes on from there`
  const cases: readonly (readonly [string[], string])[] = [
    [['nodes', 'list'], why],
    [['trace', 'node-1'], why],
    [['runs', 'events', RUN], why + goesOn],
    [['fetch', 'node-1', 'file', destination, '--target', 'node-2', '--allow-unverified'], why]
  ]
  for (const [args, message] of cases) {
    const { code, stderr } = await treeline(t, [...args, '--server', relay.url])
    assert.deepEqual({ code, stderr }, { code: 1, stderr: `${message}\n` })
  }
  assert.deepEqual(await readdir(folder), [])
})

test('a command whose relay ends before it answers says that it may be done, and how to look', async t => {
  const ends: Handler = (_, response) => void response.destroy()
  const relay = await startSmallRelay(t, {
    'DELETE v1/members/node-1': ends,
    'POST v1/members/node-1/move': ends,
    'POST outbox/retry': ends,
    'POST remote-run/all': ends,
    'GET nodes': ends
  })
  const unknown = `treeline: the connection to the relay at ${relay.url} ended before its answer (UND_ERR_SOCKET): whether this was done is not known; look at`
  const cases: readonly (readonly [string[], string])[] = [
    [['nodes', 'remove', 'node-1'], `${unknown} \`treeline nodes list\``],
    [['nodes', 'move', 'node-1', '--under', 'root'], `${unknown} \`treeline nodes list\``],
    [['outbox', 'retry'], `${unknown} \`treeline outbox list\``],
    [['run', '--all'], `${unknown} \`treeline runs list\``],
    [
      ['nodes', 'list'],
      `treeline: the relay at ${relay.url} cannot be reached: it closed the connection (UND_ERR_SOCKET)`
    ]
  ]
  for (const [args, message] of cases) {
    const { code, stderr } = await treeline(t, [...args, '--server', relay.url])
    assert.deepEqual([args, code, stderr], [args, 1, `${message}; if this is a port for TLS, use https://\n`])
  }
})

test('a body that broke before anyone read it is told to who reads it then', async () => {
  const body = new PassThrough()
  const told = explainingBody(body, 'http://relay', undefined)
  const closed = new Promise(resolve => told.once('close', resolve)) // `once` would be a listener of `error` too
  body.destroy(new Error('gone'))
  await closed
  await assert.rejects(pipeline(told, new PassThrough()), BrokenAnswerError)
  await assert.rejects(told.toArray(), BrokenAnswerError)
})
