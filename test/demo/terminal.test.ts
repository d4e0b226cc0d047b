import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shortened } from '../../demo/terminal.js'

test('hashes and tokens are shown by their beginning, and all else as it is', () => {
  const hash = '546df516acaef794ed41cf81a84f8803d4ebea54cd1fa629d683e4f2db46bcca'
  const part = 'YQQygJC30ldPp_ldywYUwb2-z-pKLKPeY4m8pS3_xyo'
  assert.equal(shortened(`hash_value is ${hash}, but`), 'hash_value is 546df516acae…, but')
  assert.equal(shortened(`echo 2947b07760ce.${part}.${part} | treeline`), 'echo 2947b07760ce… | treeline')
  assert.equal(shortened('sha256//NTpTIayepbD2dAcjmsR68hadNYjRprBia+0ruf8S9Y0='), 'sha256//NTpTIayepbD2…')
  assert.equal(shortened('{"run":"01M8K8VZA99W4RPYAF09BSTVN1"}'), '{"run":"01M8K8VZA99W…"}')
  const path = 'sub-relay/shared-files/node-s1/files/node-b1/a-file-with-a-rather-long-name'
  assert.equal(shortened(path), path)
})
