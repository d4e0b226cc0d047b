import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

export type IpAddress = ipaddr.IPv4 | ipaddr.IPv6

/** The last 32 bits of an IPv6 address, written as those of an IPv4 address. */
const DOTTED = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/
/** The form in which proxies name a client: the brackets of an IPv6 address come with a port or without one. */
const WITH_PORT = /^(?:\[([^[\]]{2,64})\]|([0-9.]{7,15}))(?::\d{1,5})?$/

/**
 * An address as the operating system reads it. One of IPv4 has four decimal numbers; one that is mapped into IPv6
 * (`::ffff:192.0.2.7`) is the IPv4 address. The zone of an IPv6 address is left out.
 * @returns undefined for anything else
 */
export function parseIp(text: string): IpAddress | undefined {
  switch (isIP(text)) {
    case 4:
      return ipaddr.IPv4.parse(text)
    case 6:
      return parseIpv6(text)
    default:
      return undefined
  }
}

/**
 * The address of a client as proxies write it in `X-Forwarded-For`: `192.0.2.7`, `192.0.2.7:4000`, `2001:db8::7`,
 * `[2001:db8::7]` or `[2001:db8::7]:4000`. The port is another one for each connection, and tells nobody apart.
 * @returns the one form of the address; undefined when it is none
 */
export function forwardedAddress(text: string): string | undefined {
  const [, inBrackets, ipv4] = WITH_PORT.exec(text) ?? []
  if (inBrackets !== undefined && isIP(inBrackets) !== 6) return undefined
  return parseIp(inBrackets ?? ipv4 ?? text)?.toString()
}

/** ipaddr.js takes `::192.0.2.7`, written so, for the IPv4 address, and `::c000:207`, which is the same, for another one. */
function parseIpv6(text: string): IpAddress {
  const [address = ''] = text.split('%', 1)
  const hexadecimal = address.replace(DOTTED, (_, a: string, b: string, c: string, d: string) =>
    [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)].map(group => group.toString(16)).join(':')
  )
  const parsed = ipaddr.IPv6.parse(hexadecimal)
  return parsed.isIPv4MappedAddress() ? parsed.toIPv4Address() : parsed
}
