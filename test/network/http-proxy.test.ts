import assert from 'node:assert/strict'
import { test } from 'node:test'
import { httpProxyFor } from '../../src/network/http-proxy.js'

const PROXY = 'http://proxy.example:3128'

function isProxied(url: string, noProxy: string): boolean {
  return httpProxyFor(url, { HTTPS_PROXY: PROXY, NO_PROXY: noProxy }) !== undefined
}

test('a proxy is taken from either name; one that is empty says nothing', () => {
  const of = (env: Record<string, string>) => httpProxyFor('https://a.example', env)?.href
  assert.equal(of({}), undefined)
  assert.equal(of({ HTTPS_PROXY: '', https_proxy: '' }), undefined)
  assert.equal(of({ HTTPS_PROXY: '', https_proxy: PROXY }), `${PROXY}/`)
  assert.equal(of({ HTTPS_PROXY: PROXY, https_proxy: 'http://other:1' }), `${PROXY}/`)
  assert.equal(of({ HTTPS_PROXY: PROXY, NO_PROXY: '', no_proxy: 'a.example' }), undefined)
})

test('without a scheme it is an HTTP proxy', () => {
  const of = (proxy: string) => httpProxyFor('https://a.example', { HTTPS_PROXY: proxy })?.href
  assert.equal(of('proxy.example:3128'), 'http://proxy.example:3128/')
  assert.equal(of('user:pass@proxy.example:3128'), 'http://user:pass@proxy.example:3128/')
  assert.equal(of('[::1]:3128'), 'http://[::1]:3128/')
  for (const wrong of ['socks5://proxy:1', 'http://', 'proxy:port', '://x', 'a b']) {
    assert.throws(() => of(wrong), /HTTPS_PROXY is no URL/, wrong)
  }
})

test('credentials decode to what was meant, also with a % that stands for itself', () => {
  for (const [written, meant] of [
    ['100%', '100%'],
    ['%zz%41', '%zzA'],
    ['p%40ss%25', 'p@ss%'],
    ['%ff', '%ff'],
    ['ä%', 'ä%'],
    ['plain', 'plain']
  ] as const) {
    const proxy = httpProxyFor('https://a.example', { HTTPS_PROXY: `http://${written}:${written}@proxy:1` })
    assert.equal(decodeURIComponent(proxy?.username ?? ''), meant)
    assert.equal(decodeURIComponent(proxy?.password ?? ''), meant)
  }
})

test('NO_PROXY has names, addresses and networks, each with or without a port', () => {
  const direct: [string, string][] = [
    ['https://a.example', '*'],
    ['https://a.example', 'other, a.example'],
    ['https://b.a.example', 'a.example'],
    ['https://b.a.example', '*.a.example'],
    ['https://a.example:8443', 'a.example:8443'],
    ['https://a.example', 'a.example:443'],
    ['https://10.1.2.3', '10.0.0.0/8'],
    ['https://10.1.2.3:8443', 'x 10.1.2.3/32'],
    ['https://10.1.2.3', '10.1.2.3'],
    ['https://[fd00::7]', 'fd00::/8'],
    ['https://[fd00::7]', 'fd00:0::7'],
    ['https://[::1]', '::1'],
    ['https://[::1]:8443', '[::1]:8443']
  ]
  for (const [url, list] of direct) assert.equal(isProxied(url, list), false, `${url} ${list}`)
  const proxied: [string, string][] = [
    ['https://a.example', 'example.a, xa.example'],
    ['https://a.example:8443', 'a.example:443'],
    ['https://11.1.2.3', '10.0.0.0/8'],
    ['https://10.1.2.3', '10.0.0.0/33, 10.0.0.0/x, /8, 2.3'],
    ['https://10.example', '10.0.0.0/8'],
    ['https://[fe80::7]', 'fd00::/8, ::1']
  ]
  for (const [url, list] of proxied) assert.equal(isProxied(url, list), true, `${url} ${list}`)
})
