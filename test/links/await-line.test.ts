import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import fc from 'fast-check'
import { ChallengeError } from '../../src/links/wire/challenge.js'
import { awaitLine, MAX_HANDSHAKE_LINE_BYTES, MAX_HANDSHAKE_LINE_PIECES } from '../../src/links/wire/raw/await-line.js'

const LIMIT_MS = 60_000
const asText = (line: string) => line

/** A connection that is paused. */
function paused(): PassThrough {
  return new PassThrough().pause()
}

test('lines come one by one, wherever they are cut, and what follows comes to the next listener', async () => {
  const line = fc.string({ unit: 'grapheme', maxLength: 300 }).map(text => text.replaceAll('\n', ''))
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 100, max: 500 }),
      async (lines, size) => {
        const connection = paused()
        const bytes = Buffer.from(`${lines.join('\n')}\nrest`)
        for (let at = 0; at < bytes.length; at += size) connection.write(bytes.subarray(at, at + size))
        connection.end()
        for (const expected of lines) assert.equal(await awaitLine(connection, LIMIT_MS, asText), expected)
        let rest = ''
        for await (const chunk of connection) rest += chunk
        assert.equal(rest, 'rest')
      }
    ),
    { numRuns: 50 }
  )
})

const BAD: readonly (readonly [name: string, act: (connection: PassThrough) => void, reason: RegExp])[] = [
  [
    'a line without end',
    connection => connection.write(Buffer.alloc(MAX_HANDSHAKE_LINE_BYTES + 1, 97)),
    /more than 16384 bytes/
  ],
  [
    'a byte at a time',
    connection => {
      for (let count = 0; count < MAX_HANDSHAKE_LINE_PIECES; count += 1) connection.push('a')
    },
    /more than 96 pieces/
  ],
  ['an end', connection => connection.end('{'), /it closed the connection/],
  ['a break', connection => connection.destroy(), /it closed the connection/],
  ['a failure', connection => connection.destroy(new Error('read ECONNRESET')), /ECONNRESET/]
]
for (const [name, act, reason] of BAD) {
  test(`${name} instead of a line: a reason, and nothing listens any more`, async () => {
    const connection = paused()
    const line = awaitLine(connection, LIMIT_MS, asText)
    act(connection)
    await assert.rejects(line, (error: Error) => error instanceof ChallengeError && reason.test(error.message))
    for (const event of ['data', 'close']) assert.equal(connection.listenerCount(event), 0, event)
  })
}

test('silence ends at the limit', async () => {
  await assert.rejects(awaitLine(paused(), 1, asText), /nothing came within 1 ms/)
})

test('a connection that is gone already is told of at once', async () => {
  const connection = paused()
  connection.destroy()
  await assert.rejects(awaitLine(connection, LIMIT_MS, asText), /it closed the connection/)
})
