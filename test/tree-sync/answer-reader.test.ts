import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { type Changes, MAX_DIFFERENCE_BYTES, readAnswer, readChanges } from '../../src/tree-sync/answer-reader.js'
import { END_LINE, formatHeader, formatRemoved, MIN_CERTIFICATE_LENGTH } from '../../src/tree-sync/tree-lines.js'

const VERSION = '0'.repeat(64)
const HEADER = formatHeader({ relay: 'self', version: VERSION, generation: 1, base: VERSION })
const LONG = 4_000_000

function entry(id: string, members: Readonly<Record<string, unknown>> = {}): string {
  return `${JSON.stringify({ id, hostname: `${id}.example.test`, 'policy-server': 'self', certificates: [], ...members })}\n`
}

async function read(lines: Iterable<string>): Promise<Changes> {
  function* chunks() {
    yield Buffer.from(HEADER)
    for (const line of lines) yield Buffer.from(line)
  }
  const { lines: received } = await readAnswer(Readable.from(chunks()), () => undefined)
  return readChanges(received)
}

test('what a line may have is taken at its longest', async () => {
  const label = 'x'.repeat(63)
  const members = {
    hostname: `${label}.${label}.${label}.${'x'.repeat(61)}`,
    'policy-server': 'p'.repeat(128),
    'key-hash': `sha512:${'0'.repeat(128)}`,
    certificates: ['A'.repeat(MIN_CERTIFICATE_LENGTH)]
  }
  const id = 'n'.repeat(128)
  const changes = await read([entry(id, members), formatRemoved('r'.repeat(128)), END_LINE])
  assert.equal(changes.put.get(id)?.hostname, members.hostname)
  assert.equal(changes.put.get(id)?.keyHash, members['key-hash'])
  assert.deepEqual([...changes.removed], ['r'.repeat(128)])
})

for (const [what, line, problem] of [
  ['a long host name', entry('n1', { hostname: 'x'.repeat(254) }), /host name of n1 has more than 253/],
  ['a host name of megabytes', entry('n1', { hostname: '\u{100}'.repeat(LONG / 2) }), /host name of n1 has more than/],
  ['a long key hash', entry('n1', { 'key-hash': 'x'.repeat(257) }), /key hash of n1 has more than 256/],
  ['a long policy server', entry('n1', { 'policy-server': 'p'.repeat(129) }), /policy server of n1 cannot be/],
  ['a policy server that is no id', entry('n1', { 'policy-server': '../x' }), /policy server of n1 cannot be/],
  ['a removed id that is long', formatRemoved('x'.repeat(LONG)), /removes what is no node: \{"removed":"xxx/],
  ['a removed id that is none', formatRemoved('../x'), /removes what is no node/],
  ['a long line of many parts', `{"id":"n1","x":[${'[],'.repeat(LONG / 4)}[]]}\n`, /a line has too many parts: /],
  ['certificates of nothing', entry('n1', { certificates: ['', ''] }), /certificate of n1 is none/]
] as const) {
  test(`refuses ${what}, and shows little of it`, async () => {
    await assert.rejects(read([line, END_LINE]), (error: Error) => {
      assert.match(error.message, problem)
      return error.message.length < 200
    })
  })
}

test('a difference is bounded by all bytes that come, also those that nothing reads', async () => {
  let sent = 0
  function* lines() {
    while (sent <= 2 * MAX_DIFFERENCE_BYTES) {
      const line = entry('n1', { another: 'x'.repeat(LONG) })
      sent += line.length
      yield line
    }
    yield END_LINE
  }
  await assert.rejects(read(lines()), /the difference is too large: 1 nodes/)
  assert.ok(sent < MAX_DIFFERENCE_BYTES + 10 * LONG, `${sent} bytes were taken`)
})

test('short certificates count for what they take in memory', async () => {
  const certificates = Array.from({ length: 40_000 }, () => 'A'.repeat(MIN_CERTIFICATE_LENGTH))
  const lines = Array.from({ length: 10 }, (_, index) => entry(`n${index}`, { certificates }))
  assert.ok(lines.join('').length < MAX_DIFFERENCE_BYTES / 3)
  await assert.rejects(read([...lines, END_LINE]), /the difference is too large/)
})
