import { malformed } from '../http1/bad-message-error.js'

/** The target of a request in the one spelling that AWS signs: what is signed is what is sent. */
export interface AwsTarget {
  /** Each byte but the unreserved ones (RFC 3986, 2.3) as `%XX`. */
  readonly path: string
  /** Decoded, by name. */
  readonly query: Readonly<Record<string, readonly string[]>>
}

/** The parameters of a presigned URL: of version 4, and of version 2 where it names an access key. */
const SIGNATURE_V4 = new Set([
  'x-amz-algorithm',
  'x-amz-credential',
  'x-amz-date',
  'x-amz-expires',
  'x-amz-region-set',
  'x-amz-security-token',
  'x-amz-signature',
  'x-amz-signedheaders'
])
const SIGNATURE_V2 = new Set(['AWSAccessKeyId', 'Expires', 'Signature'])
/** The parameter by which a presigned URL tells the hash of the body, in either case. */
const CONTENT_HASH = 'x-amz-content-sha256'

const PERCENT = /%([0-9a-f]{2})?/gi

/**
 * Reads a target, without the caller's own signature in its query.
 * @param target byte for byte, each byte a character
 * @throws {BadMessageError} for what has no one meaning: no path, a `%` without two digits, a query that is not UTF-8
 */
export function readAwsTarget(target: string): AwsTarget {
  if (!target.startsWith('/')) throw malformed('the target is no path, so it cannot be signed')
  const end = target.indexOf('?')
  const path = (end === -1 ? target : target.slice(0, end)).split('/').map(recoded).join('/')
  const pairs = end === -1 ? [] : target.slice(end + 1).split('&')
  const read = pairs.filter(pair => pair !== '').map(readPair)
  const isVersion2 = read.some(([name]) => name === 'AWSAccessKeyId')
  const query: Record<string, string[]> = Object.create(null) as Record<string, string[]>
  for (const [name, value] of read) {
    if (name === '__proto__') throw malformed('the query has a name that cannot be signed')
    const lower = name.toLowerCase()
    if (SIGNATURE_V4.has(lower) || lower === CONTENT_HASH || (isVersion2 && SIGNATURE_V2.has(name))) continue
    const values = query[name]
    if (values === undefined) query[name] = [value]
    else values.push(value)
  }
  return { path, query }
}

/** The target as it is sent: with the query as it is signed, sorted and spelt in the one way. */
export function formatAwsTarget({ path, query }: AwsTarget): string {
  const pairs = Object.entries(query).flatMap(([name, values]) => {
    return values.map(value => `${spelt(name)}=${spelt(value)}`)
  })
  return pairs.length === 0 ? path : `${path}?${pairs.sort().join('&')}`
}

function spelt(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, percent)
}

/** Reads a name and its value. A `+` is a blank to AWS here; it is sent as `%20`, which has one meaning. */
function readPair(pair: string): readonly [string, string] {
  const at = pair.indexOf('=')
  const [name, value] = at === -1 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)]
  return [decodedText(name), decodedText(value)]
}

function decodedText(text: string): string {
  const bytes = Buffer.from(decoded(text.replaceAll('+', ' ')), 'latin1')
  const characters = bytes.toString('utf8')
  if (!Buffer.from(characters).equals(bytes)) throw malformed('the query is not UTF-8, so it cannot be signed')
  return characters
}

/** A segment with each byte spelt in the one way. */
function recoded(segment: string): string {
  return decoded(segment).replace(/[^\w.~-]/g, percent)
}

function percent(byte: string): string {
  return `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}

function decoded(text: string): string {
  return text.replace(PERCENT, (_all, hex: string | undefined) => {
    if (hex === undefined) throw malformed('the target has a % without two digits behind it, so it cannot be signed')
    return String.fromCharCode(Number.parseInt(hex, 16))
  })
}
