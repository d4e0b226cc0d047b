import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRequestHead } from '../../../src/services/http1/parse-heads.js'
import { readDestination } from '../../../src/services/http1/request-target.js'

const MALFORMED = { name: 'BadMessageError', problem: 'malformed' }

function destination(requestLine: string, ...hosts: string[]) {
  const fields = hosts.map(host => `Host: ${host}\r\n`).join('')
  return readDestination(parseRequestHead(`${requestLine}\r\n${fields}\r\n`))
}

test('a path stays as it is, and Host is the host', () => {
  const target = '//a/%2E%2e/..;b?c=http://d/'
  assert.deepEqual(destination(`GET ${target} HTTP/1.1`, 'x:80'), { target, host: 'x:80' })
  assert.deepEqual(destination('OPTIONS * HTTP/1.1', '[::1]:80'), { target: '*', host: '[::1]:80' })
  assert.deepEqual(destination('GET / HTTP/1.0'), { target: '/', host: undefined })
  assert.deepEqual(destination('GET / HTTP/1.1', ''), { target: '/', host: '' })
})

test('an absolute target is reduced to its path, and its host replaces Host', () => {
  assert.deepEqual(destination('GET http://y:81/a//b?c HTTP/1.1', 'x'), {
    target: '/a//b?c',
    host: 'y:81'
  })
  assert.deepEqual(destination('GET HTTPS://y HTTP/1.1', 'x'), { target: '/', host: 'y' })
  assert.deepEqual(destination('GET http://y?c=/d HTTP/1.1', 'x'), { target: '/?c=/d', host: 'y' })
  assert.deepEqual(destination('OPTIONS http://y HTTP/1.1', 'x'), { target: '*', host: 'y' })
  assert.deepEqual(destination('OPTIONS http://y/ HTTP/1.1', 'x'), { target: '/', host: 'y' })
  assert.deepEqual(destination('GET http://[fe80::1]:81//a HTTP/1.0'), { target: '//a', host: '[fe80::1]:81' })
})

test('HTTP/1.1 has exactly one Host, and it is a host', () => {
  assert.throws(() => destination('GET / HTTP/1.1'), MALFORMED)
  assert.throws(() => destination('GET http://y/ HTTP/1.1'), MALFORMED)
  assert.throws(() => destination('GET / HTTP/1.1', 'x', 'x'), MALFORMED)
  assert.throws(() => destination('GET / HTTP/1.0', 'x', 'y'), MALFORMED)
  for (const host of ['x, y', 'x y', 'u@x', 'x/', 'x?', 'x:y', 'x:80:80', '::1', '[::1', 'x:123456', '\xe4', '"x"']) {
    assert.throws(() => destination('GET / HTTP/1.1', host), MALFORMED, host)
    assert.throws(() => destination(`GET http://${host.replace(/ |[/?]/g, '@')}/ HTTP/1.1`, 'x'), MALFORMED, host)
  }
})
