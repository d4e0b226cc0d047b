import { MAX_KEY_HASH_LENGTH } from '../keys/signatures/key-hash.js'
import { MAX_HOST_NAME_LENGTH } from '../network/host-name.js'
import { isNodeId } from '../values/ids.js'
import { hasTooManyParts, parseJson } from '../values/text/json.js'

/** Raised when lines change their meaning. */
export const FORMAT = 1
/** Shortest certificate, in base64. A line of shorter ones would become far more in memory than it is. */
export const MIN_CERTIFICATE_LENGTH = 64

/** The first line of an answer. */
export interface TreeHeader {
  /** The id of the relay whose part follows. */
  readonly relay: string
  /** The digest of the part that the receiver has when it has taken all lines. */
  readonly version: string
  /** Counts the trees of whoever sends it. */
  readonly generation: number
  /** The version that the lines change; undefined: they are all there is. */
  readonly base: string | undefined
}

/** A node with its certificates, DER. */
export interface TreeEntry {
  readonly id: string
  readonly hostname: string
  readonly policyServer: string
  readonly keyHash: string | undefined
  readonly certificates: readonly Buffer[]
}

/** A line after the header. */
export type TreeLine =
  | { readonly kind: 'put'; readonly entry: TreeEntry }
  | { readonly kind: 'removed'; readonly id: string }
  /** The last one: without it, the answer broke off. */
  | { readonly kind: 'end' }

/** An answer that is not what the other side should have sent. The message says what is wrong with it. */
export class TreeLinesError extends Error {
  override name = 'TreeLinesError'
}

export function isVersion(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text)
}

export function formatHeader({ relay, version, generation, base }: TreeHeader): string {
  return `${JSON.stringify({ treeline: 'tree', format: FORMAT, relay, version, generation, base })}\n`
}

export function formatEntry({ id, hostname, policyServer, keyHash, certificates }: TreeEntry): string {
  const line = {
    id,
    hostname,
    'policy-server': policyServer,
    'key-hash': keyHash,
    certificates: certificates.map(der => der.toString('base64'))
  }
  return `${JSON.stringify(line)}\n`
}

export function formatRemoved(id: string): string {
  return `${JSON.stringify({ removed: id })}\n`
}

export const END_LINE = `${JSON.stringify({ end: true })}\n`

/** @throws {TreeLinesError} */
export function parseHeader(line: string): TreeHeader {
  const { treeline, format, relay, version, generation, base } = parseObject(line)
  if (treeline !== 'tree' || typeof format !== 'number') throw new TreeLinesError('it is no tree')
  if (format !== FORMAT) {
    throw new TreeLinesError(`it has the format ${format}, and this version knows ${FORMAT}: update the older relay`)
  }
  if (typeof relay !== 'string' || typeof version !== 'string' || !isVersion(version)) {
    throw new TreeLinesError('its first line names no relay, or no version')
  }
  if (base !== undefined && (typeof base !== 'string' || !isVersion(base))) {
    throw new TreeLinesError('its first line names a base that is no version')
  }
  return { relay, version, generation: typeof generation === 'number' ? generation : 0, base }
}

/** Parses a line. The length of everything in it is bounded; the other checks of a nodes list follow. @throws {TreeLinesError} */
export function parseLine(line: string): TreeLine {
  const value = parseObject(line)
  if (value.end === true) return { kind: 'end' }
  if (typeof value.removed === 'string') {
    if (!isNodeId(value.removed)) throw new TreeLinesError(`a line removes what is no node: ${line.slice(0, 80)}`)
    return { kind: 'removed', id: value.removed }
  }
  const { id, hostname, 'policy-server': policyServer, 'key-hash': keyHash, certificates } = value
  if (typeof id !== 'string' || !isNodeId(id)) throw new TreeLinesError(`a line names no node: ${line.slice(0, 80)}`)
  if (typeof hostname !== 'string' || typeof policyServer !== 'string' || !Array.isArray(certificates)) {
    throw new TreeLinesError(`the line of ${id} lacks a host name, a policy server or certificates`)
  }
  if (hostname.length > MAX_HOST_NAME_LENGTH) {
    throw new TreeLinesError(`the host name of ${id} has more than ${MAX_HOST_NAME_LENGTH} characters`)
  }
  if (!isNodeId(policyServer)) throw new TreeLinesError(`the policy server of ${id} cannot be the id of a node`)
  if (typeof keyHash === 'string' && keyHash.length > MAX_KEY_HASH_LENGTH) {
    throw new TreeLinesError(`the key hash of ${id} has more than ${MAX_KEY_HASH_LENGTH} characters`)
  }
  return {
    kind: 'put',
    entry: {
      id,
      hostname,
      policyServer,
      keyHash: typeof keyHash === 'string' ? keyHash : undefined,
      certificates: certificates.map(text => parseCertificate(text, id))
    }
  }
}

function parseCertificate(text: unknown, id: string): Buffer {
  if (typeof text !== 'string') throw new TreeLinesError(`a certificate of ${id} is no text`)
  if (text.length < MIN_CERTIFICATE_LENGTH) throw new TreeLinesError(`a certificate of ${id} is none: it is too short`)
  return Buffer.from(text, 'base64')
}

function parseObject(line: string): Record<string, unknown> {
  const value = parseJson(line)
  if (value === undefined) {
    const problem = hasTooManyParts(line) ? 'a line has too many parts' : 'a line is no JSON'
    throw new TreeLinesError(`${problem}: ${JSON.stringify(line.slice(0, 80))}`)
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new TreeLinesError(`a line is no object: ${JSON.stringify(line.slice(0, 80))}`)
}
