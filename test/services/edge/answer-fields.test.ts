import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fieldsForCaller } from '../../../src/services/edge/answer-fields.js'

/** The cookie that a caller gets who asked for a target at a listener of the service's own. */
function cookieAtRoot(cookie: string, target: string, baseUrl = 'http://service'): string | undefined {
  const head = { method: 'GET', target, minor: 1, fields: [] } as const
  const request = { key: 'web', base: '', origin: 'https://web', body: 'none', upgrade: undefined, head } as const
  const answer = { status: 200, reason: '', minor: 1, fields: ['Set-Cookie', cookie] } as const
  return fieldsForCaller(answer, request, new URL(baseUrl))[1]
}

test('at a listener of its own, the cookies of a service keep their paths', () => {
  for (const target of ['/', '/login/do']) {
    assert.equal(cookieAtRoot('a=b; Path=/; Secure', target), 'a=b; Path=/; Secure')
    assert.equal(cookieAtRoot('__Host-a=b; Secure; Path=/', target), '__Host-a=b; Path=/; Secure')
    assert.equal(cookieAtRoot('a=b; Path=/x; Domain=service', target), 'a=b; Path=/x')
    assert.equal(cookieAtRoot('a=b; HttpOnly', target), 'a=b; HttpOnly')
  }
  assert.equal(cookieAtRoot('a=b; Path=/base/x', '/login/do', 'http://service/base'), 'a=b; Path=/x')
  assert.equal(cookieAtRoot('a=b; Path=/other', '/login/do', 'http://service/base'), 'a=b; Path=/')
})
