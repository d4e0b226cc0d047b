import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { canonicalHost } from '../../src/network/host-name.js'
import { anyText } from '../support/any-text.js'

const label = fc.stringMatching(/^[a-z_][a-z0-9_]{0,20}$/)
const name = fc.array(label, { minLength: 1, maxLength: 5 }).map(labels => labels.join('.'))
const ipv4 = fc.array(fc.nat(255), { minLength: 4, maxLength: 4 })
const ipv6 = fc.array(fc.nat(0xffff), { minLength: 8, maxLength: 8 })

/** One of the ways to write the same name. */
const otherCase = (text: string) =>
  fc
    .array(fc.boolean(), { minLength: text.length, maxLength: text.length })
    .map(upper => [...text].map((letter, index) => (upper[index] === true ? letter.toUpperCase() : letter)).join(''))

test('all spellings of a name have one form', () => {
  fc.assert(
    fc.property(
      name.chain(text => fc.tuple(fc.constant(text), otherCase(text), fc.boolean())),
      ([text, spelt, dot]) => {
        assert.equal(canonicalHost(`${spelt}${dot ? '.' : ''}`), text)
      }
    )
  )
  assert.equal(canonicalHost('Bücher.Example'), 'xn--bcher-kva.example')
  assert.equal(canonicalHost('bu\u0308cher.example.'), 'xn--bcher-kva.example')
  assert.equal(canonicalHost('XN--BCHER-KVA.example'), 'xn--bcher-kva.example')
  assert.equal(canonicalHost('root。example．com'), 'root.example.com')
  assert.equal(canonicalHost('ｒｏｏｔ.example.com'), 'root.example.com')
})

test('all spellings of an IPv6 address have one form, and those of an IPv4 one that of IPv4', () => {
  fc.assert(
    fc.property(ipv6, fc.boolean(), fc.boolean(), (groups, isPadded, isUpper) => {
      const written = groups.map(group => group.toString(16).padStart(isPadded ? 4 : 1, '0')).join(':')
      const spelt = isUpper ? written.toUpperCase() : written
      const canonical = canonicalHost(spelt) ?? ''
      assert.equal(canonicalHost(canonical), canonical)
      const compressed = new URL(`http://[${spelt}]`).hostname.slice(1, -1)
      assert.equal(canonicalHost(compressed), canonical)
      assert.deepEqual(ipaddr.process(canonical).toByteArray(), ipaddr.process(spelt).toByteArray())
    })
  )
  fc.assert(
    fc.property(ipv4, bytes => {
      const text = bytes.join('.')
      const [a = 0, b = 0, c = 0, d = 0] = bytes
      const hex = [a * 256 + b, c * 256 + d].map(group => group.toString(16)).join(':')
      for (const spelt of [text, `::ffff:${text}`, `::FFFF:${hex}`, `0:0:0:0:0:ffff:${hex}`]) {
        assert.equal(canonicalHost(spelt), text)
      }
    })
  )
})

test('what some programs read as an IPv4 address, and others as a name, is refused', () => {
  const odd = ['127.1', '127.0.1', '2130706433', '0x7f.0.0.1', '0x7f000001', '0177.0.0.1', '127.0.0.1.', '0', '0x']
  for (const text of [...odd, '１２７.0.0.1', '127。0。0。1', '0X7F.1'])
    assert.equal(canonicalHost(text), undefined, text)
  fc.assert(
    fc.property(ipv4, fc.array(fc.constantFrom(8, 10, 16), { minLength: 4, maxLength: 4 }), (bytes, bases) => {
      const prefix = { 8: '0', 10: '', 16: '0x' } as const
      const spelt = bytes.map((byte, i) => `${prefix[(bases[i] ?? 10) as 8]}${byte.toString(bases[i])}`).join('.')
      const canonical = canonicalHost(spelt)
      assert.ok(canonical === undefined || canonical === bytes.join('.'), spelt)
    })
  )
})

test('a number alone that is too large for an address is a name: a container may be called by its digits', () => {
  for (const text of ['301234567890', '4294967296', '089', '1.2.3.4.example', '1-2']) {
    assert.equal(canonicalHost(text), text)
  }
})

test('what ends in a number is no name, as in URLs', () => {
  const odd = [
    '1.2.3.256',
    '999.999.999.999',
    '1.2.3.4.5',
    '0xg.1',
    'node.1',
    '999.1',
    'node.0x1',
    'node.0x',
    'node.089'
  ]
  for (const text of odd) {
    assert.equal(canonicalHost(text), undefined, text)
    assert.equal(canonicalHost(`${text}.`), undefined, text)
    assert.throws(() => new URL(`http://${text}`), text)
  }
})

test('an IPv6 address that ends like one of IPv4 is no IPv4 address', () => {
  assert.equal(canonicalHost('::192.0.2.7'), '::c000:207')
  assert.equal(canonicalHost('::c000:207'), '::c000:207')
})

test('what can be no host is refused, and nothing else comes of any text', () => {
  const none = [
    '',
    '.',
    'a..b',
    '.a',
    '-a',
    'a.-b',
    'root.example.com:443',
    '[::1]',
    '[::1]:443',
    'fe80::1%eth0',
    'a b'
  ]
  const long = [`${'a'.repeat(64)}.b`, 'ab.'.repeat(85)]
  for (const text of [...none, ...long, '*.example.com', 'a/b', 'a@b', 'a\0', 'xn--a', 'a,b', 'root.example.com..']) {
    assert.equal(canonicalHost(text), undefined, JSON.stringify(text))
  }
  fc.assert(
    fc.property(fc.oneof(anyText(), fc.string(), fc.domain(), fc.ipV4(), fc.ipV6()), text => {
      const canonical = canonicalHost(text)
      if (canonical === undefined) return
      assert.equal(canonicalHost(canonical), canonical)
      assert.match(canonical, /^[a-z0-9_.:-]{1,253}$/)
    })
  )
})

test('two names that Node takes for the same in a certificate have the same form', () => {
  const spelt = fc.constantFrom('root.example.com', 'root.example.com.', 'ROOT.example.com', '127.0.0.1', '::1', '0::1')
  fc.assert(
    fc.property(spelt, spelt, (wanted, shown) => {
      const certificate = {
        subject: {},
        subjectaltname: `${isIP(shown) === 0 ? 'DNS' : 'IP Address'}:${shown}`
      } as unknown as PeerCertificate
      const isGood = checkServerIdentity(wanted, certificate) === undefined
      assert.equal(isGood && canonicalHost(wanted) !== canonicalHost(shown), false)
    })
  )
})
