import ipaddr from 'ipaddr.js'
import { type IpAddress, parseIp } from './ip-address.js'

type Range = [IpAddress, number]

const NETWORK = /^([^/]+)(?:\/(\d{1,3}))?$/
const EVERY_ADDRESS = ['0.0.0.0/0', '::/0']

/** A set of IP networks. IPv4 addresses mapped into IPv6 (`::ffff:10.0.0.1`) count as the IPv4 address they are. */
export class NetworkSet {
  readonly #ranges: readonly Range[]
  /** Whether every address is in it, so that nothing needs to be compared. */
  readonly holdsAll: boolean

  /**
   * @param networks in CIDR form, or single addresses
   * @throws {RangeError} naming the first that is neither
   */
  constructor(readonly networks: readonly string[]) {
    this.#ranges = networks.map(parseNetwork)
    this.holdsAll = EVERY_ADDRESS.every(network => networks.includes(network))
  }

  static all(): NetworkSet {
    return new NetworkSet(EVERY_ADDRESS)
  }

  static none(): NetworkSet {
    return new NetworkSet([])
  }

  /** False for anything that is not an IP address. */
  contains(address: string): boolean {
    if (this.holdsAll) return true
    const parsed = this.#ranges.length === 0 ? undefined : parseIp(address)
    if (parsed === undefined) return false
    return this.#ranges.some(range => range[0].kind() === parsed.kind() && parsed.match(range))
  }
}

/** Whether `address` is a loopback address, in whatever form. */
export function isLoopback(address: string): boolean {
  return address === '127.0.0.1' || address === '::1' || LOOPBACK.contains(address)
}

function parseNetwork(text: string): Range {
  const [, written = '', digits] = NETWORK.exec(text) ?? []
  const address = parseIp(written)
  const bits = written.includes(':') ? 128 : 32
  const prefix = digits === undefined ? bits : Number(digits)
  if (address === undefined || prefix > bits) {
    throw new RangeError(`not a network in CIDR form, such as 10.0.0.0/8 or fd00::/8: ${JSON.stringify(text)}`)
  }
  return bits === 128 && address instanceof ipaddr.IPv4 ? mappedRange(address, prefix) : [address, prefix]
}

/** @param prefix bits of the IPv6 form, of which the last 32 are the IPv4 address */
function mappedRange(address: ipaddr.IPv4, prefix: number): Range {
  return prefix >= 96 ? [address, prefix - 96] : [address.toIPv4MappedAddress(), prefix]
}

const LOOPBACK = new NetworkSet(['127.0.0.0/8', '::1/128'])
