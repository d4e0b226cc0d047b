import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkNotEncoded } from '../../src/api/bodies/request-body.js'

const withEncoding = (encoding: string) => () =>
  checkNotEncoded({ headers: { 'content-encoding': encoding } } as Parameters<typeof checkNotEncoded>[0])

test('no coding of a body is taken but none, however it is written', () => {
  for (const none of ['', 'identity', 'Identity', ' identity\t', 'identity, identity', ',']) {
    assert.doesNotThrow(withEncoding(none), none)
  }
  for (const coding of ['gzip', 'identity, br', 'identityx', 'identity identity']) {
    assert.throws(withEncoding(coding), /send the bytes as they are/, coding)
  }
})

test('a coding of blanks is looked at once, not for each way to share them out', () => {
  assert.throws(withEncoding(`identity,${' '.repeat(1_000_000)}x`), /send the bytes as they are/)
})
