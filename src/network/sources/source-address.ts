import ipaddr from 'ipaddr.js'
import { parseIp } from '../ip-address.js'

/** Bits of an IPv6 address that tell one customer of a network from another; the rest is theirs to choose. */
const IPV6_PREFIX_BYTES = 8

/**
 * The source by which callers are told apart where a bound is shared: an IPv4 address, or the /64 network of an IPv6
 * address, of which one machine may use every address. An IPv4 address mapped into IPv6 is the IPv4 address.
 * @returns the address itself when it is no IP address (an empty one over a link, for example)
 */
export function sourceOf(address: string): string {
  const parsed = parseIp(address)
  if (parsed === undefined) return address
  if (parsed.kind() === 'ipv4') return parsed.toString()
  const network = parsed.toByteArray().map((byte, index) => (index < IPV6_PREFIX_BYTES ? byte : 0))
  return `${ipaddr.fromByteArray(network).toString()}/64`
}
