import { type FileMetadata, formatMetadata } from '../../keys/signatures/file-metadata.js'
import { keyHashMatches } from '../../keys/signatures/key-hash.js'
import { type FilePublicKey, readPublicKey } from '../../keys/signatures/verify-file.js'
import type { Caller } from '../../network/caller.js'
import type { Topology } from '../../tree/topology.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { parseTtl } from '../../values/time/ttl.js'

/** Keys that were read lately: reading one takes longer than checking what it signed. */
const MAX_READ_KEYS = 256
const readKeys = new Map<string, FilePublicKey>()

/** The facts about a file that were checked before its bytes were read. */
export interface AdmittedMetadata {
  readonly metadata: FileMetadata
  readonly text: string
  readonly publicKey: FilePublicKey
}

export interface AdmissionRules {
  /** The key hash of the source, see {@link sourceKeyHash}. */
  readonly keyHash: string
  readonly source: string
  readonly allowSha1: boolean
}

/**
 * The key hash that the source's public key must have: that of the nodes list, for a node below this relay, else what
 * the policy server vouches for.
 * @param vouched from the policy server
 * @throws {RelayError} UNKNOWN_SOURCE
 */
export function sourceKeyHash(source: string, topology: Topology, vouched: string | undefined): string {
  const node = topology.find(source)
  const listed = node?.keyHash
  const keyHash = node !== undefined && topology.isBelow(source) ? listed : (vouched ?? listed)
  if (keyHash !== undefined) return keyHash
  const why = node === undefined ? 'is not in the nodes list' : 'has no key-hash in the nodes list'
  throw new RelayError('UNKNOWN_SOURCE', `unknown source: ${source} ${why}`)
}

/** An unknown source is no last word where the caller may be our policy server: it would vouch for it. */
export function notRecognized(error: RelayError): RelayError {
  return new RelayError(
    'NOT_RECOGNIZED',
    `${error.message}; the caller vouches for it, but nothing shows that it is the policy server of this relay, as when a ` +
      'web server ends the TLS: set links.dial here, or have it call at general.https_listen'
  )
}

/**
 * `shared_files.require_sender`: the source itself, or a relay that it passed.
 * @throws {RelayError} FORBIDDEN
 */
export function checkSender(source: string, caller: Caller, topology: Topology): void {
  const { kind, id } = caller
  const isSource = id === source && (kind === 'node' || kind === 'relay')
  const isRelayAbove = kind === 'relay' && id !== undefined && topology.isUnder(source, id)
  const isFromAbove = kind === 'policy-server' && !topology.isBelow(source)
  const isOwn = kind === 'local' && source === topology.selfId
  if (isSource || isRelayAbove || isFromAbove || isOwn) return
  throw new RelayError(
    'FORBIDDEN',
    `only ${source} itself, by its certificate, or a relay that it passed may put its files, ` +
      'since shared_files.require_sender is set'
  )
}

/**
 * Checks all of the metadata that comes before the signature in the contract's order.
 * @throws {RelayError} UNKNOWN_SOURCE when it is not the source's key; INVALID_INPUT
 */
export function admitMetadata(metadata: FileMetadata, rules: AdmissionRules): AdmittedMetadata {
  if (metadata.algorithm === 'sha1' && !rules.allowSha1) {
    throw new RelayError(
      'INVALID_INPUT',
      'invalid metadata: algorithm sha1 is not accepted; sign with sha512, or set shared_files.allow_sha1'
    )
  }
  const publicKey = readKey(metadata)
  if (!keyHashMatches(publicKey.spkiDer, rules.keyHash)) {
    throw new RelayError(
      'UNKNOWN_SOURCE',
      `unknown source: the file was signed with another key than that of ${rules.source} in the nodes list (key-hash)`
    )
  }
  return { metadata, text: formatMetadata(metadata), publicKey }
}

function readKey(metadata: FileMetadata): FilePublicKey {
  const known = readKeys.get(metadata.publicKey)
  if (known !== undefined) return known
  const key = readPublicKey(metadata)
  const [oldest] = readKeys.keys()
  if (oldest !== undefined && readKeys.size >= MAX_READ_KEYS) readKeys.delete(oldest)
  readKeys.set(metadata.publicKey, key)
  return key
}

/**
 * When the file expires, ms since 1970. In the contract's order this comes last, after the signature.
 * @param ttl from the query; undefined when it has none
 * @throws {RelayError} INVALID_INPUT
 */
export function expiryOf(metadata: FileMetadata, ttl: string | undefined, nowMs: number): number {
  const text = ttl ?? metadata.fields.get('ttl')
  if (text === undefined) {
    throw new RelayError('INVALID_INPUT', 'missing ttl: add ?ttl=1day, or any other number of days, hours, minutes')
  }
  return nowMs + parseTtl(text, nowMs) * 1_000
}
