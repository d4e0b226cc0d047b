import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { forwardedAddress, parseIp } from '../../src/network/ip-address.js'
import { NetworkSet } from '../../src/network/network-set.js'
import { sourceOf } from '../../src/network/sources/source-address.js'
import { anyText } from '../support/any-text.js'

/** How a URL writes an address: by another parser than ours. */
function inUrl(text: string): string {
  const host = new URL(`http://${text.includes(':') ? `[${text}]` : text}`).hostname.replace(/[[\]]/g, '')
  const [, high, low] = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(host) ?? []
  if (high === undefined || low === undefined) return host
  return [high, low].flatMap(group => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255]).join('.')
}

const dotted = fc.ipV4()
const address = fc.oneof(
  dotted,
  fc.ipV6(),
  dotted.map(ipv4 => `::${ipv4}`),
  dotted.map(ipv4 => `::ffff:${ipv4}`),
  dotted.map(ipv4 => `64:ff9b::${ipv4}`)
)

test('every spelling of an address is read as it is by others', () => {
  fc.assert(fc.property(address, text => assert.equal(parseIp(text)?.toString(), inUrl(text))))
  assert.equal(parseIp('::192.0.2.7')?.toString(), '::c000:207')
  assert.equal(parseIp('fe80::1%eth0')?.toString(), 'fe80::1')
})

test('a client that a proxy names is the same with a port, in brackets, and in capital letters', () => {
  fc.assert(
    fc.property(address, fc.nat(65_535), (text, port) => {
      const named = text.includes(':') ? [text, `[${text}]`, `[${text}]:${port}`] : [text, `${text}:${port}`]
      for (const spelt of named) {
        assert.equal(forwardedAddress(spelt), inUrl(text), spelt)
        assert.equal(forwardedAddress(spelt.toUpperCase()), inUrl(text), spelt)
      }
    })
  )
})

test('what is no address is none, and nothing else comes of any text', () => {
  const odd = [
    '',
    'unknown',
    '_x',
    '1.2.3',
    '01.2.3.4',
    '1.2.3.4:',
    '1.2.3.4:123456',
    '[1.2.3.4]',
    '[::1',
    '::1]',
    '[::1]x',
    '127.1',
    '0x7f000001'
  ]
  for (const text of odd) assert.equal(forwardedAddress(text), undefined, text)
  fc.assert(
    fc.property(fc.oneof(anyText(), fc.string()), text => {
      const read = forwardedAddress(text)
      if (read !== undefined) assert.equal(forwardedAddress(read), read)
    })
  )
})

test('networks and sources read an IPv6 address that ends like one of IPv4 as what it is', () => {
  const ipv4 = new NetworkSet(['192.0.2.0/24'])
  assert.equal(ipv4.contains('::192.0.2.7'), false)
  assert.equal(ipv4.contains('::ffff:192.0.2.7'), true)
  assert.equal(new NetworkSet(['::192.0.2.0/120']).contains('192.0.2.7'), false)
  assert.equal(new NetworkSet(['::192.0.2.0/120']).contains('::c000:207'), true)
  assert.equal(new NetworkSet(['::ffff:192.0.2.0/120']).contains('192.0.2.7'), true)
  assert.equal(sourceOf('::192.0.2.7'), '::/64')
})

test('a network is an address of four decimal numbers or of IPv6, with as many bits as it has at most', () => {
  for (const text of ['10.0.0.0/8', '10.1.2.3', 'fd00::/8', '::/0', '::ffff:10.0.0.0/104', '::ffff:0:0/90']) {
    assert.doesNotThrow(() => new NetworkSet([text]), text)
  }
  const odd = [
    '',
    '/8',
    '10.0.0.0/',
    '10.0.0.0/33',
    '::/129',
    '10/8',
    '010.0.0.0/8',
    '0x0a.0.0.0/8',
    '10.0.0.0/8/8',
    '10.0.0.0/+8',
    'x'
  ]
  for (const text of odd) assert.throws(() => new NetworkSet([text]), RangeError, text)
})
