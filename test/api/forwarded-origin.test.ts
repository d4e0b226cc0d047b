import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { forwardedOrigin, MAX_FORWARDED_PROXIES } from '../../src/api/callers/forwarded-origin.js'
import { forwardedAddress } from '../../src/network/ip-address.js'
import { NetworkSet } from '../../src/network/network-set.js'

const trusted = new NetworkSet(['127.0.0.0/8', '10.0.0.0/8'])
const PROXY = '10.0.0.1'

/** Counts the addresses that are compared with the networks. */
class CountingNetworks extends NetworkSet {
  compared = 0

  override contains(address: string): boolean {
    this.compared += 1
    return super.contains(address)
  }
}

test('the last address that is no trusted proxy counts, and what is before it does not', () => {
  const part = fc.constantFrom('127.0.0.1', PROXY, '10.0.0.2:80', '192.0.2.7', '[2001:db8::7]:1', '::1', 'x', '', ' ')
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), fc.constantFrom(',', ', ', ' ,\t'), (parts, comma) => {
      const header = parts.join(comma)
      const chain = header.trim() === '' ? [] : header.split(',').map(text => forwardedAddress(text.trim()))
      const at = chain.findLastIndex(address => address === undefined || !trusted.contains(address))
      const proxies = chain.slice(at + 1).reverse()
      const named = chain[at]
      const what = at === -1 ? {} : named === undefined ? { isUnknown: true } : { named }
      assert.deepEqual(forwardedOrigin(header, trusted), { proxies, ...what })
    })
  )
})

test('no more addresses are read than until the first one that is no trusted proxy', () => {
  for (const written of ['[2001:db8::1],', '::ffff:10.0.0.1,', 'x,', ',']) {
    const networks = new CountingNetworks(trusted.networks)
    const header = `${written.repeat(16_000 / written.length)}192.0.2.7, ${PROXY}`
    assert.deepEqual(forwardedOrigin(header, networks), { proxies: [PROXY], named: '192.0.2.7' })
    assert.equal(networks.compared, 2, written)
  }
})

test('behind more trusted proxies than are looked for, the caller is unknown', () => {
  const chain = (count: number) => Array.from({ length: count }, () => PROXY).join(',')
  const most = forwardedOrigin(chain(MAX_FORWARDED_PROXIES), trusted)
  assert.deepEqual([most.proxies.length, most.isUnknown, most.named], [MAX_FORWARDED_PROXIES, undefined, undefined])
  const networks = new CountingNetworks(trusted.networks)
  const more = forwardedOrigin(chain(1_000), networks)
  assert.deepEqual([more.proxies.length, more.isUnknown, more.named], [MAX_FORWARDED_PROXIES, true, undefined])
  assert.equal(networks.compared, MAX_FORWARDED_PROXIES)
})
