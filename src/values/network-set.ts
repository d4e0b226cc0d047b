import ipaddr from 'ipaddr.js'

type Range = [ipaddr.IPv4 | ipaddr.IPv6, number]

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
    if (this.#ranges.length === 0 || !ipaddr.isValid(address)) return false
    const parsed = ipaddr.process(address)
    return this.#ranges.some(range => range[0].kind() === parsed.kind() && parsed.match(range))
  }
}

/** Whether `address` is a loopback address, in whatever form. */
export function isLoopback(address: string): boolean {
  return address === '127.0.0.1' || address === '::1' || LOOPBACK.contains(address)
}

function parseNetwork(text: string): Range {
  if (ipaddr.isValidCIDR(text)) return unmap(ipaddr.parseCIDR(text))
  if (ipaddr.isValid(text) && (text.includes(':') || ipaddr.IPv4.isValidFourPartDecimal(text))) {
    const address = ipaddr.process(text)
    return [address, address.kind() === 'ipv4' ? 32 : 128]
  }
  throw new RangeError(`not a network in CIDR form, such as 10.0.0.0/8 or fd00::/8: ${JSON.stringify(text)}`)
}

function unmap([address, prefix]: Range): Range {
  if (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && prefix >= 96) {
    return [address.toIPv4Address(), prefix - 96]
  }
  return [address, prefix]
}

const LOOPBACK = new NetworkSet(['127.0.0.0/8', '::1/128'])
