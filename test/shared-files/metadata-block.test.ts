import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import fc from 'fast-check'
import { BodyReader, PACE_LIMITS } from '../../src/shared-files/receiving/body-reader.js'
import { readMetadataBlock } from '../../src/shared-files/receiving/metadata-block.js'
import { RelayError } from '../../src/values/failures/relay-error.js'

async function split(pieces: Buffer[]): Promise<{ text: string; file: Buffer }> {
  const reader = new BodyReader(Readable.from(pieces, { objectMode: false }), {
    maxBytes: 1_000_000,
    signals: [new AbortController().signal],
    pace: PACE_LIMITS
  })
  try {
    const { text, rest } = await readMetadataBlock(reader)
    const chunks = [rest]
    for (let chunk = await reader.next(); chunk !== undefined; chunk = await reader.next()) chunks.push(chunk)
    return { text, file: Buffer.concat(chunks) }
  } finally {
    reader.close()
  }
}

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = []
  let at = 0
  for (const size of sizes) {
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return [...pieces, bytes.subarray(at)].filter(piece => piece.length > 0)
}

test('block and file come apart in the same place, however the body was cut', async () => {
  const line = fc.stringMatching(/^[a-z]{1,8}=[ -~]{0,20}$/)
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { minLength: 1, maxLength: 6 }),
      fc.constantFrom('\n', '\r\n'),
      fc.uint8Array({ maxLength: 60 }),
      fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 40 }),
      async (lines, end, file, sizes) => {
        const block = lines.map(text => text + end).join('')
        const result = await split(cut(Buffer.concat([Buffer.from(block + end), file]), sizes))
        assert.equal(result.text, block)
        assert.ok(result.file.equals(file))
      }
    )
  )
})

test('a body without an empty line, or with it too late, is refused as such', async () => {
  const isInvalid = (error: unknown) => error instanceof RelayError && error.code === 'INVALID_INPUT'
  await assert.rejects(split([]), isInvalid)
  await assert.rejects(split([Buffer.from('a=b\n')]), isInvalid)
  const line = `a=${'b'.repeat(509)}\n`
  await assert.rejects(split([Buffer.from(`${line.repeat(128)}a=\n\n`)]), isInvalid)
  const longest = line.repeat(128)
  assert.equal(longest.length, 65_536)
  assert.equal((await split([Buffer.from(`${longest}\nx`)])).text, longest)
})

test('a block of too many lines is refused as soon as they have come, however it was cut', async () => {
  const isTooLong = (error: unknown) =>
    error instanceof RelayError &&
    error.message === 'invalid metadata: it has more than 256 lines; is the empty line missing that ends it?'
  const many = Buffer.from('a=b\n'.repeat(258))
  for (const size of [1, 3, 4, 2_000]) {
    const sizes = new Array<number>(Math.ceil(many.length / size)).fill(size)
    await assert.rejects(split(cut(many, sizes)), isTooLong)
    const most = 'a=b\n'.repeat(256)
    assert.equal((await split(cut(Buffer.from(`${most}\nx`), sizes))).text, most)
  }
})
