import { isIP } from 'node:net'
import { domainToASCII, domainToUnicode } from 'node:url'
import { parseIp } from './ip-address.js'

/** The rule for host names, for messages: what is refused below breaks it. */
export const HOST_NAME_RULE =
  'a host name, an IPv4 address as four decimal numbers, or an IPv6 address, without brackets and without a port'

/** Longest name of a host (RFC 1035, section 2.3.4, as text). */
export const MAX_HOST_NAME_LENGTH = 253
const LABEL = /^(?!-)[a-z0-9_-]{1,63}$/
/**
 * The form of most names, which is canonical as it stands and seen at once. No label is encoded, the last one is no
 * number.
 */
const PLAIN = /^(?:(?!xn--)[a-z0-9_][a-z0-9_-]{0,62}\.)*(?!xn--)[a-z_][a-z0-9_-]{0,62}$/
const NUMBER = /^(?:0[xX][0-9a-fA-F]*|[0-9]+)$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII
const ASCII = /^[\x00-\x7f]*$/

/**
 * The one form of a host name or address, so that two names of the same host are never taken for names of two: lower
 * case, without the dot that may end it, labels of other scripts as they are looked up in DNS (`xn--…`); IPv6 addresses
 * as RFC 5952 has them, and those that are IPv4 addresses as these.
 * @returns undefined for what is {@link HOST_NAME_RULE none of these}, such as `127.1`, `0x7f.0.0.1` or `1.2.3.256`, which
 *   some programs read as an address and others as a name
 */
export function canonicalHost(text: string): string | undefined {
  if (text.length <= MAX_HOST_NAME_LENGTH && PLAIN.test(text)) return text
  switch (isIP(text)) {
    case 4:
      return text
    case 6:
      return canonicalIpv6(text)
    default:
      return canonicalName(text)
  }
}

/** The ranges of addresses at which no host can be reached, or none but the caller's own: 0.0.0.0, ::, and those of groups. */
const RANGES_OF_NO_HOST: readonly string[] = ['unspecified', 'broadcast', 'multicast']

/** Whether a host name in its one form is an address that no host has to itself. */
export function isOfNoHost(host: string): boolean {
  const range = parseIp(host)?.range()
  return range !== undefined && RANGES_OF_NO_HOST.includes(range)
}

function canonicalIpv6(text: string): string | undefined {
  if (text.includes('%')) return undefined // a zone means something on one machine alone
  return parseIp(text)?.toString()
}

function canonicalName(text: string): string | undefined {
  if (text.length > 4 * MAX_HOST_NAME_LENGTH) return undefined
  const isEncoded = ASCII.test(text)
  const name = (isEncoded ? text : domainToASCII(text)).toLowerCase().replace(/\.$/, '')
  if (name.length > MAX_HOST_NAME_LENGTH || isIP(name) !== 0) return undefined
  const labels = name.split('.')
  if (!labels.every(label => LABEL.test(label))) return undefined
  if (endsInNumber(labels)) return undefined
  return labels.every(label => !label.startsWith('xn--') || isEncodedLabel(label)) ? name : undefined
}

/**
 * Several spellings of a label would be decoded to the same text: only the one that this text is encoded to is taken.
 * A label that cannot be decoded becomes an empty text with some versions of Node, and stays as it is with others.
 */
function isEncodedLabel(label: string): boolean {
  const decoded = domainToUnicode(label)
  return decoded !== '' && !ASCII.test(decoded) && domainToASCII(decoded) === label
}

/**
 * No name in DNS ends in a number, and a URL takes what does for an address, a wrong one included (`1.2.3.256`). A number
 * alone that is too large for an address is a name: a container may be called by its digits.
 */
function endsInNumber(labels: readonly string[]): boolean {
  const last = labels.at(-1) ?? ''
  return NUMBER.test(last) && (labels.length > 1 || numberOf(last) < 2 ** 32)
}

/** The number that `inet_aton` reads. */
function numberOf(digits: string): number {
  if (/^0[xX]/.test(digits)) return digits.length === 2 ? 0 : Number(digits)
  if (digits.length > 1 && digits.startsWith('0'))
    return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN
  return Number(digits)
}
