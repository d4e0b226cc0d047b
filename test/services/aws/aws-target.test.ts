import assert from 'node:assert/strict'
import { test } from 'node:test'
import { getCanonicalQuery } from '@smithy/signature-v4'
import fc from 'fast-check'
import { formatAwsTarget, readAwsTarget } from '../../../src/services/aws/aws-target.js'
import { BadMessageError } from '../../../src/services/http1/bad-message-error.js'

for (const [target, sent] of [
  ['/', '/'],
  ['/a%2fb//c;d', '/a%2Fb//c%3Bd'],
  ["/it's*(new)!+~", '/it%27s%2A%28new%29%21%2B~'],
  ['/\u00c3\u00a4', '/%C3%A4'],
  ['/b?acl', '/b?acl='],
  ['/b?', '/b'],
  ['/b?z=1&a=2&a=1', '/b?a=1&a=2&z=1'],
  ['/b?a=b+c%2b', '/b?a=b%20c%2B'],
  ['/b?a=%e2%82%ac&x=y=z', '/b?a=%E2%82%AC&x=y%3Dz']
] as const) {
  test(`the target ${JSON.stringify(target)} is sent as ${sent}`, () => {
    assert.equal(formatAwsTarget(readAwsTarget(target)), sent)
  })
}

test('the parameters of a presigned URL are left out, and no others that begin alike', () => {
  const presigned =
    '/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20130524%2Fus-east-1%2Fs3%2Faws4_request' +
    '&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Security-Token=t&x-amz-signature=ab' +
    '&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&x-amz-acl=private&Expires=1&partNumber=2'
  assert.equal(formatAwsTarget(readAwsTarget(presigned)), '/k?Expires=1&partNumber=2&x-amz-acl=private')
  assert.equal(
    formatAwsTarget(readAwsTarget('/k?AWSAccessKeyId=a&Expires=1&Signature=b&versionId=3')),
    '/k?versionId=3'
  )
})

test('what has no one meaning is refused', () => {
  for (const target of ['*', '/%', '/%4', '/%zz', '/a?b=%', '/a?b=%ff', '/a?%c0%80=1', '/a?__proto__=1']) {
    assert.throws(() => readAwsTarget(target), BadMessageError, target)
  }
})

test('any target is read as what it is sent as, and only the declared error is thrown', () => {
  const bytes = fc.stringMatching(/^[\x21-\x7e\x80-\xff]{0,40}$/)
  fc.assert(
    fc.property(bytes, text => {
      try {
        const target = readAwsTarget(`/${text}`)
        const sent = formatAwsTarget(target)
        assert.match(sent, /^\/[\w.~%/-]*(?:\?[\w.~%&=-]+)?$/)
        assert.deepEqual(readAwsTarget(sent).path, target.path)
        assert.equal(formatAwsTarget(readAwsTarget(sent)), sent)
      } catch (error) {
        assert.ok(error instanceof BadMessageError)
      }
    })
  )
})

test('the query is sent as the library signs it, but for the order', () => {
  const pairs = fc.array(
    fc.tuple(
      fc.string({ unit: 'grapheme', minLength: 1 }).filter(name => name !== '__proto__'),
      fc.string({ unit: 'grapheme' })
    )
  )
  fc.assert(
    fc.property(pairs, list => {
      const text = list.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&')
      const target = readAwsTarget(`/?${text}`)
      const query = Object.fromEntries(Object.entries(target.query).map(([name, values]) => [name, [...values]]))
      const canonical = getCanonicalQuery({
        method: 'GET',
        protocol: 'https:',
        hostname: 'a',
        path: '/',
        headers: {},
        query
      })
      const sent = formatAwsTarget(target).slice(2)
      assert.deepEqual(sent.split('&').sort(), canonical.split('&').sort())
    })
  )
})
