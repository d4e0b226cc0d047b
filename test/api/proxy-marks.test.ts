import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hasProxyMark } from '../../src/api/callers/proxy-marks.js'

test('headers that proxies add are marks of one, whatever their case was, and with underscores', () => {
  const marks = [
    'x-forwarded-for',
    'x_forwarded_for',
    'x_real_ip',
    'x-envoy-internal',
    'wl-proxy-client-ip',
    'proxy-client-ip',
    'ali-cdn-real-ip',
    'x-arr-log-id',
    'x-original-url',
    'x-varnish',
    'x-ssl-client-cert',
    'ssl_client_verify',
    'cf-worker',
    'max-forwards',
    'tailscale-user-login'
  ]
  for (const name of marks) assert.equal(hasProxyMark({ [name]: '' }), true, name)
})

test('headers of programs that ask a relay themselves are none', () => {
  const own = ['host', 'user-agent', 'accept', 'content-type', 'traceparent', 'x-request-id', 'treeline-link-secret']
  for (const name of own) assert.equal(hasProxyMark({ [name]: 'x' }), false, name)
})
