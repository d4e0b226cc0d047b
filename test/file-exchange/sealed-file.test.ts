import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import fc from 'fast-check'
import nacl from 'tweetnacl'
import { createOpenStream, createSealStream, SEALED_CHUNK_BYTES } from '../../src/file-exchange/sealed-file.js'
import { refuseSealed, SEALED_MAGIC } from '../../src/file-exchange/sealed-magic.js'

const HEADER_BYTES = 8 + 32 + 24 + 48
const SEALED_BYTES = SEALED_CHUNK_BYTES + 16
const target = nacl.box.keyPair()

async function through(bytes: Buffer, stream: Transform, pieceBytes = 16_384): Promise<Buffer> {
  const output: Buffer[] = []
  const pieces = function* () {
    for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
  }
  await pipeline(Readable.from(pieces()), stream, async source => {
    for await (const chunk of source as AsyncIterable<Buffer>) output.push(chunk)
  })
  return Buffer.concat(output)
}

const seal = (bytes: Buffer) => through(bytes, createSealStream(target.publicKey))
const open = (bytes: Buffer, pieceBytes?: number) => through(bytes, createOpenStream(target.secretKey), pieceBytes)

async function refused(bytes: Buffer, pattern = /changed or cut short|sealed/): Promise<void> {
  await assert.rejects(open(bytes), { name: 'ClientError', message: pattern })
}

for (const size of [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000]) {
  test(`a file of ${size} bytes is sealed and opened again`, async () => {
    const content = randomBytes(size)
    const sealed = await seal(content)
    assert.equal(sealed.length, HEADER_BYTES + size + 16 * Math.max(1, Math.ceil(size / SEALED_CHUNK_BYTES)))
    assert.deepEqual(await open(sealed), content)
  })
}

test('any size, in pieces of any size', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: 70_000 }), fc.integer({ min: 1, max: 70_000 }), async (size, pieceBytes) => {
      const content = randomBytes(size)
      assert.deepEqual(await open(await seal(content), Math.max(pieceBytes, 100)), content)
    }),
    { numRuns: 20 }
  )
})

test('byte by byte', async () => {
  const content = randomBytes(300)
  assert.deepEqual(await open(await seal(content), 1), content)
})

test('a file cut short anywhere is refused', async () => {
  const sealed = await seal(randomBytes(SEALED_CHUNK_BYTES * 2 + 100))
  const edges = [0, 1, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + SEALED_BYTES, HEADER_BYTES + 2 * SEALED_BYTES]
  for (const length of [...edges, sealed.length - 1]) await refused(sealed.subarray(0, length))
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: sealed.length - 1 }), length => refused(sealed.subarray(0, length))),
    { numRuns: 20 }
  )
})

test('a flipped bit anywhere is refused', async () => {
  const sealed = await seal(randomBytes(SEALED_CHUNK_BYTES + 100))
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: sealed.length - 1 }), fc.nat({ max: 7 }), async (at, bit) => {
      const changed = Buffer.from(sealed)
      changed[at] = (changed[at] ?? 0) ^ (1 << bit)
      await refused(changed)
    }),
    { numRuns: 30 }
  )
  for (let at = 0; at < HEADER_BYTES; at += 1) {
    const changed = Buffer.from(sealed)
    changed[at] = (changed[at] ?? 0) ^ 1
    await refused(changed)
  }
})

test('chunks in another order, twice, left out or appended are refused', async () => {
  const sealed = await seal(randomBytes(SEALED_CHUNK_BYTES * 3))
  const header = sealed.subarray(0, HEADER_BYTES)
  const [a, b, c] = [0, 1, 2].map(n =>
    sealed.subarray(HEADER_BYTES + n * SEALED_BYTES, HEADER_BYTES + (n + 1) * SEALED_BYTES)
  )
  assert.ok(a !== undefined && b !== undefined && c !== undefined)
  for (const order of [[b, a, c], [a, a, c], [a, c], [a, b], [a, b, c, c], [a, b, c, Buffer.alloc(16)], [c]]) {
    await refused(Buffer.concat([header, ...order]))
  }
})

test('chunks of one file do not fit another', async () => {
  const [one, other] = [await seal(randomBytes(100)), await seal(randomBytes(100))]
  await refused(Buffer.concat([one.subarray(0, HEADER_BYTES), other.subarray(HEADER_BYTES)]))
})

test('another key opens nothing, and what is not sealed is told apart', async () => {
  const sealed = await seal(Buffer.from('secret'))
  const other = nacl.box.keyPair()
  await assert.rejects(through(sealed, createOpenStream(other.secretKey)), /sealed for another key/)
  await refused(randomBytes(500), /not a sealed file/)
})

test('what is sealed is told by its first bytes, in pieces of any size, and all else passes as it is', async () => {
  const passed = async (pieces: readonly Buffer[]) => {
    const parts: Buffer[] = []
    await pipeline(
      Readable.from(pieces),
      refuseSealed(() => new Error('it is sealed')),
      async content => {
        for await (const part of content) parts.push(part as Buffer)
      }
    )
    return Buffer.concat(parts)
  }
  const bytes = (text: string) => Array.from(Buffer.from(text, 'latin1'), byte => Buffer.of(byte))
  for (const text of ['', 'T', 'TLSEAL', 'anything else that is longer']) {
    assert.equal(String(await passed(bytes(text))), text)
    assert.equal(String(await passed([Buffer.from(text, 'latin1')])), text)
  }
  for (const sealed of [
    bytes('TLSEAL\0\x01abc'),
    [Buffer.from('TLSEAL\0\x02 of another version', 'latin1')],
    [SEALED_MAGIC]
  ]) {
    await assert.rejects(passed(sealed), /it is sealed/)
  }
})
