import { isIPv6 } from 'node:net'
import { canonicalHost } from '../../network/host-name.js'
import type { ListenAddress } from '../config.js'
import type { ValueReader } from './value-readers.js'

/** A host with a port, or without one. */
export interface HostAddress {
  readonly host: string
  readonly port: number | undefined
}

const HOST_AND_PORT = /^(?:\[([^\]]{2,64})\]|([A-Za-z0-9._\u0080-\u{10ffff}-]{1,254}))(?::(\d{1,5}))?$/u
const MAX_PORT = 65_535

/** `host:port`, IPv6 addresses in brackets; port 0 lets the system choose one. */
export const listenAddress: ValueReader<ListenAddress> = {
  expected: 'host:port, such as 127.0.0.1:3030',
  parse: raw => withPort(parseHost(raw), 0)
}

/** `host:port` of a neighbour. */
export const neighbourAddress: ValueReader<ListenAddress> = {
  expected: 'host:port, such as relay1.example.com:443',
  parse: raw => withPort(canonical(parseHost(raw)), 1)
}

/** Names and addresses of a host, without ports, in canonical form. */
export const hostNames: ValueReader<readonly string[]> = {
  expected: 'a list of host names without ports, such as ["relay.example.com"]',
  parse: raw => {
    if (!Array.isArray(raw)) return undefined
    const hosts = raw.map(item => (typeof item === 'string' ? canonicalHost(item) : undefined))
    const known = hosts.filter(host => host !== undefined)
    return known.length === hosts.length ? known : undefined
  }
}

/** A host name or address, with or without a port. */
export const hostAddress: ValueReader<HostAddress> = {
  expected: 'a host name such as rudder.example.com, with or without a port',
  parse: raw => {
    const address = canonical(parseHost(raw))
    return address?.port === 0 ? undefined : address
  }
}

/** The canonical form of an address; not for addresses to listen at, which may have a zone. */
function canonical(address: HostAddress | undefined): HostAddress | undefined {
  const host = address === undefined ? undefined : canonicalHost(address.host)
  return address === undefined || host === undefined ? undefined : { ...address, host }
}

function withPort(address: HostAddress | undefined, min: number): ListenAddress | undefined {
  if (address?.port === undefined || address.port < min) return undefined
  return { host: address.host, port: address.port }
}

function parseHost(raw: unknown): HostAddress | undefined {
  if (typeof raw !== 'string') return undefined
  const [match, ipv6, name, digits] = HOST_AND_PORT.exec(raw) ?? []
  if (match === undefined || (ipv6 !== undefined && !isIPv6(ipv6))) return undefined
  const port = digits === undefined ? undefined : Number(digits)
  if (port !== undefined && port > MAX_PORT) return undefined
  return { host: ipv6 ?? name ?? '', port }
}
