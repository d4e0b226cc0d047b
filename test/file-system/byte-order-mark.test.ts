import assert from 'node:assert/strict'
import { test } from 'node:test'
import { byteOrderMarkLength, utf16Problem, withoutByteOrderMark } from '../../src/file-system/files/byte-order-mark.js'

test('UTF-16 of either order, with or without its mark, is called so; all else is left alone', () => {
  for (const mark of ['', '\uFEFF']) {
    for (const text of ['{"root": {}}', '-----BEGIN CERTIFICATE-----\n', '[general]\nnode_id = "ß"']) {
      const little = Buffer.from(mark + text, 'utf16le')
      for (const file of [little, Buffer.from(little).swap16()]) {
        assert.match(utf16Problem(file) ?? '', /UTF-16.*save it as UTF-8/)
        assert.throws(() => withoutByteOrderMark(file.toString('utf8')), /UTF-16.*save it as UTF-8/)
      }
      const file = Buffer.from(mark + text)
      assert.equal(utf16Problem(file), undefined)
      assert.equal(withoutByteOrderMark(file.toString('utf8')), text)
      assert.equal(byteOrderMarkLength(file), mark === '' ? 0 : 3)
    }
  }
  for (const other of ['', 'a', '\0', '\0\0', 'aa\0', 'ßa', '\uFFFD\uFFFDaa']) {
    assert.equal(withoutByteOrderMark(other), other)
    assert.equal(utf16Problem(Buffer.from(other)), undefined, JSON.stringify(other))
  }
})
