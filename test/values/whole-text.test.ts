import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { readWholeText } from '../../src/values/text/whole-text.js'

const tooLong = () => new Error('too long')

test('a stream is read whole, characters that are cut by a piece too, up to its bound', async () => {
  const text = 'grüße'
  const bytes = Buffer.from(text)
  const pieces = () => Readable.from([bytes.subarray(0, 3), bytes.subarray(3)], { objectMode: false })
  assert.equal(await readWholeText(pieces(), bytes.length, tooLong), text)
  assert.equal(await readWholeText(Readable.from(['gr', 'üße']), bytes.length, tooLong), text)
  await assert.rejects(readWholeText(pieces(), bytes.length - 1, tooLong), /too long/)
})

test('a stream without end is left at its bound, and closed', async () => {
  let given = 0
  const endless = new Readable({
    read() {
      given += 1
      this.push(Buffer.alloc(1_000))
    }
  })
  await assert.rejects(readWholeText(endless, 10_000, tooLong), /too long/)
  assert.equal(endless.destroyed, true)
  assert.ok(given < 100)
})
