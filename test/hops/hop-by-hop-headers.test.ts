import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { relayableAnswerHeaders, relayableRequestHeaders } from '../../src/hops/hop-by-hop-headers.js'

test('what belongs to one connection stays there, and what Connection names with it', () => {
  const headers = {
    Connection: 'close, X-Private',
    connection: 'x-private',
    'x-private': '1',
    'keep-alive': 'timeout=5',
    'transfer-encoding': 'chunked',
    te: 'trailers',
    upgrade: 'h2c',
    'proxy-authorization': 'Basic eA==',
    'treeline-link-secret': 'x',
    'content-length': '3',
    etag: '"a"'
  }
  assert.deepEqual(relayableAnswerHeaders(headers), { 'content-length': '3', etag: '"a"' })
})

test('what was meant for this relay alone is not handed on with a request', () => {
  const headers = {
    host: 'me',
    expect: '100-continue',
    authorization: 'Bearer x',
    cookie: 'a=b',
    range: 'bytes=0-1',
    'treeline-link-secret': 'x'
  }
  assert.deepEqual(relayableRequestHeaders(headers), { range: 'bytes=0-1' })
  assert.deepEqual(relayableAnswerHeaders({ 'www-authenticate': 'Basic' }), { 'www-authenticate': 'Basic' })
})

test('repeated headers are joined, absent ones left out', () => {
  assert.deepEqual(relayableAnswerHeaders({ Vary: ['a', 'b'], 'x-none': undefined }), { vary: 'a, b' })
})

test('names come out in lower case, and nothing is kept that a second relay would drop', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ minLength: 1 }), fc.string()), headers => {
      const once = relayableRequestHeaders(headers)
      for (const name of Object.keys(once)) assert.equal(name, name.toLowerCase())
      assert.deepEqual(relayableRequestHeaders(once), once)
    })
  )
})
