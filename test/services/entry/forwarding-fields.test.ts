import assert from 'node:assert/strict'
import { test } from 'node:test'
import { askedOrigin, forwardingFields, isForwardingField } from '../../../src/services/entry/forwarding-fields.js'

const ASKED = {
  fields: [],
  remoteAddress: '192.0.2.7',
  scheme: 'http',
  host: 'entry:80',
  base: '/v1/relay/git'
} as const
const BY_PROXY = [
  'X-Forwarded-For',
  '198.51.100.1, 198.51.100.2',
  'x-forwarded-for',
  '198.51.100.3',
  'X-Forwarded-Proto',
  'https',
  'X-Forwarded-Host',
  'git.example.com',
  'X-Forwarded-Prefix',
  '/below/',
  'Forwarded',
  'for=198.51.100.3;proto=https'
]

test('a service is told of its caller by this relay, whatever the caller says of itself', () => {
  const told = forwardingFields({ ...ASKED, fields: BY_PROXY, isByTrustedProxy: false })
  assert.deepEqual(told, [
    ...['X-Forwarded-For', '192.0.2.7', 'X-Forwarded-Proto', 'http', 'X-Forwarded-Host', 'entry:80'],
    ...['X-Forwarded-Prefix', '/v1/relay/git', 'Forwarded', 'for=192.0.2.7;host="entry:80";proto=http']
  ])
})

test('what a trusted proxy tells of the caller goes along, and the proxy is added behind it', () => {
  const told = forwardingFields({ ...ASKED, fields: BY_PROXY, isByTrustedProxy: true })
  assert.deepEqual(told, [
    ...['X-Forwarded-For', '198.51.100.1, 198.51.100.2, 198.51.100.3, 192.0.2.7'],
    ...['X-Forwarded-Proto', 'https', 'X-Forwarded-Host', 'git.example.com'],
    ...['X-Forwarded-Prefix', '/below/v1/relay/git'],
    ...['Forwarded', 'for=198.51.100.3;proto=https, for=192.0.2.7;host="entry:80";proto=http']
  ])
})

test('a trusted proxy that tells nothing leaves what this relay knows', () => {
  const none = forwardingFields({ ...ASKED, isByTrustedProxy: false })
  assert.deepEqual(forwardingFields({ ...ASKED, isByTrustedProxy: true }), none)
  assert.deepEqual(forwardingFields({ ...ASKED, fields: ['X-Forwarded-For', ''], isByTrustedProxy: true }), none)
})

test('an IPv6 address is in brackets in Forwarded alone', () => {
  const told = forwardingFields({ ...ASKED, remoteAddress: '2001:db8::7', isByTrustedProxy: false })
  assert.equal(told[1], '2001:db8::7')
  assert.equal(told.at(-1), 'for="[2001:db8::7]";host="entry:80";proto=http')
})

test('redirects lead to where a trusted proxy says that its caller asked, where that is an origin', () => {
  const origin = (fields: readonly string[], isByTrustedProxy = true) =>
    askedOrigin({ ...ASKED, fields, isByTrustedProxy })
  assert.equal(origin(BY_PROXY), 'https://git.example.com')
  assert.equal(origin(BY_PROXY, false), 'http://entry:80')
  assert.equal(origin(['X-Forwarded-Proto', 'http, HTTPS']), 'https://entry:80', 'the last one is of the proxy itself')
  assert.equal(origin(['X-Forwarded-Host', 'a.example, b.example:8443']), 'http://b.example:8443')
  for (const host of ['a b', 'a/b', '"', 'user@a', ''])
    assert.equal(origin(['X-Forwarded-Host', host]), 'http://entry:80')
  assert.equal(origin(['X-Forwarded-Proto', 'ftp']), 'http://entry:80')
})

test('headers that tell of the way are known in the spelling of CGI, too', () => {
  for (const name of ['forwarded', 'x-forwarded-for', 'x_forwarded_for', 'x-forwarded_host', 'x_forwarded_prefix']) {
    assert.ok(isForwardingField(name), name)
  }
  for (const name of ['x-forwarded', 'forwarded-for', 'x-real-ip', 'for']) assert.ok(!isForwardingField(name), name)
})
