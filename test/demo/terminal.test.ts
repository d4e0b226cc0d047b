import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shortened, wrapped } from '../../demo/terminal.js'

test('hashes and tokens are shown by their beginning, and all else as it is', () => {
  const hash = '546df516acaef794ed41cf81a84f8803d4ebea54cd1fa629d683e4f2db46bcca'
  const part = 'YQQygJC30ldPp_ldywYUwb2-z-pKLKPeY4m8pS3_xyo'
  assert.equal(shortened(`hash_value is ${hash}, but`), 'hash_value is 546df516acae…, but')
  assert.equal(shortened(`echo 2947b07760ce.${part}.${part} | treeline`), 'echo 2947b07760ce… | treeline')
  assert.equal(shortened('sha256//NTpTIayepbD2dAcjmsR68hadNYjRprBia+0ruf8S9Y0='), 'sha256//NTpTIayepbD2…')
  const path = 'sub-relay/shared-files/node-s1/files/node-b1/a-file-with-a-rather-long-name'
  assert.equal(shortened(path), path)
})

test('long lines are broken between words, and a word that is too long by itself is cut', () => {
  assert.deepEqual(wrapped('as it is', 8), ['as it is'])
  assert.deepEqual(wrapped('one two three', 8), ['one two', 'three'])
  assert.deepEqual(wrapped('one two three', 7), ['one two', 'three'])
  assert.deepEqual(wrapped('0123456789 1', 8), ['01234567', '89 1'])
  assert.deepEqual(wrapped('one two three', 8, 4), ['one two', 'thre', 'e'])
  assert.deepEqual(wrapped('', 8), [''])
})
