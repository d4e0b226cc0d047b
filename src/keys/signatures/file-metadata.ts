import { RelayError } from '../../values/failures/relay-error.js'

export const HASH_ALGORITHMS = ['sha1', 'sha256', 'sha512'] as const
export type HashAlgorithm = (typeof HASH_ALGORITHMS)[number]

/** Length of each algorithm's hash. */
export const HASH_BYTES: Readonly<Record<HashAlgorithm, number>> = { sha1: 20, sha256: 32, sha512: 64 }

/** The only value that `header` may have. */
export const METADATA_HEADER = 'rudder-signature-v1'

/** The size of a metadata block, its last line feed included (contract, "The PUT body"). */
export const MAX_METADATA_BYTES = 65_536

/** The lines of a metadata block; eight to ten mean something. Each takes up to 1 us. */
export const MAX_METADATA_FIELDS = 256

/** The size of an RSA signature of 16384 bits. */
const MAX_DIGEST_BYTES = 2_048
/** Base64 of the public key that belongs to it, with room to spare. */
const MAX_PUBLIC_KEY_LENGTH = 4_096
const MAX_KEY_LENGTH = 128

const HEX = /^(?:[0-9a-fA-F]{2})+$/
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/
const MILLISECONDS = /^(?:0|[1-9]\d{0,15})$/
// Tabs pass; anything else of the kind could forge a line, or end a string in someone else's parser.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/

/** Query parameters of a PUT that are not metadata, even when the metadata comes in the query. */
const NOT_METADATA: ReadonlySet<string> = new Set(['ttl', 'hash', 'hash_type', 'expires'])

/** The block in front of a shared file's bytes: who signed what (contract, "The PUT body"). */
export interface FileMetadata {
  /** Every key as it came, unknown ones and a stored file's `expires` too, in their order. */
  readonly fields: ReadonlyMap<string, string>
  readonly algorithm: HashAlgorithm
  /** The signature: RSA over the file's hash, or Ed25519 over the lines of {@link ed25519Message}. */
  readonly digest: Buffer
  /** Lower-case hex, of the length that `algorithm` gives. */
  readonly hashValue: string
  /** Base64, as given. Whether it is a key at all, `readPublicKey` says. */
  readonly publicKey: string
  /** Ms since 1970. An RSA signature does not cover it. */
  readonly signedAtMs: number | undefined
}

/**
 * Reads a metadata block without the empty line that ends it. Lines end in LF or CRLF; the last one may end in nothing.
 * @throws {RelayError} INVALID_INPUT naming the line or the key
 */
export function parseMetadata(text: string): FileMetadata {
  if (Buffer.byteLength(text) > MAX_METADATA_BYTES) {
    throw invalid(`it has more than ${MAX_METADATA_BYTES} bytes; is the empty line missing that ends it?`)
  }
  const fields = new Map<string, string>()
  const lines = text.split(/\r?\n/)
  while (lines.at(-1) === '') lines.pop()
  for (const [index, line] of lines.entries()) addLine(fields, line, index + 1)
  return fromFields(fields)
}

/**
 * Parses metadata from query parameters, as {@link parseMetadata} does from a block. `ttl`, `hash`, `hash_type` and
 * `expires` are left aside.
 * @throws {RelayError} INVALID_INPUT naming the parameter
 */
export function metadataFromQuery(query: Readonly<Record<string, string>>): FileMetadata {
  const fields = new Map<string, string>()
  for (const [key, value] of Object.entries(query)) {
    if (!NOT_METADATA.has(key)) addField(fields, key, value, 'parameter')
  }
  return fromFields(fields)
}

/** Prints a block that {@link parseMetadata} reads back: `key=value` lines, each ended by a line feed; never `expires`. */
export function formatMetadata(metadata: Pick<FileMetadata, 'fields'>): string {
  let text = ''
  for (const [key, value] of metadata.fields) {
    if (key !== 'expires') text += `${key}=${value}\n`
  }
  return text
}

function addLine(fields: Map<string, string>, line: string, number: number): void {
  const equals = line.indexOf('=')
  if (equals < 0) throw invalid(`line ${number} is not key=value: ${shown(line)}`)
  addField(fields, line.slice(0, equals), line.slice(equals + 1), `line ${number}:`)
}

function addField(fields: Map<string, string>, key: string, value: string, where: string): void {
  if (key === '' || key.length > MAX_KEY_LENGTH || key.includes('=')) {
    throw invalid(`${where} a key has 1 to ${MAX_KEY_LENGTH} characters and no "=", not ${shown(key)}`)
  }
  if (CONTROL.test(key) || CONTROL.test(value)) throw invalid(`${where} ${shown(key)} has a control character`)
  if (fields.has(key)) throw invalid(`${where} ${shown(key)} is there twice`)
  if (fields.size >= MAX_METADATA_FIELDS) throw invalid(`it has more than ${MAX_METADATA_FIELDS} lines`)
  fields.set(key, value)
}

function fromFields(fields: ReadonlyMap<string, string>): FileMetadata {
  const header = required(fields, 'header')
  if (header !== METADATA_HEADER) throw invalid(`header should be ${METADATA_HEADER}, not ${shown(header)}`)
  const algorithm = readAlgorithm(required(fields, 'algorithm'))
  return {
    fields,
    algorithm,
    digest: readDigest(required(fields, 'digest')),
    hashValue: readHashValue(required(fields, 'hash_value'), algorithm),
    publicKey: readPublicKeyField(fields),
    signedAtMs: readSignedAt(fields.get('signed_at'))
  }
}

function readAlgorithm(text: string): HashAlgorithm {
  const algorithm = HASH_ALGORITHMS.find(name => name === text)
  if (algorithm === undefined) throw invalid(`algorithm should be ${HASH_ALGORITHMS.join(', ')}, not ${shown(text)}`)
  return algorithm
}

function readDigest(text: string): Buffer {
  if (text.length > 2 * MAX_DIGEST_BYTES || !HEX.test(text)) {
    throw invalid(`digest should be 1 to ${MAX_DIGEST_BYTES} bytes in hex, not ${shown(text)}`)
  }
  return Buffer.from(text, 'hex')
}

function readHashValue(text: string, algorithm: HashAlgorithm): string {
  if (text.length !== 2 * HASH_BYTES[algorithm] || !HEX.test(text)) {
    throw invalid(`hash_value should be ${HASH_BYTES[algorithm]} bytes in hex for ${algorithm}, not ${shown(text)}`)
  }
  return text.toLowerCase()
}

function readPublicKeyField(fields: ReadonlyMap<string, string>): string {
  if (fields.has('short_pubkey') && fields.has('pubkey'))
    throw invalid('short_pubkey and pubkey are the same; send one')
  const text = fields.get('pubkey') ?? required(fields, 'short_pubkey')
  if (text.length > MAX_PUBLIC_KEY_LENGTH || !BASE64.test(text)) {
    throw invalid(`short_pubkey should be base64 on one line, ${MAX_PUBLIC_KEY_LENGTH} characters at most`)
  }
  return text
}

function readSignedAt(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const ms = Number(text)
  if (!MILLISECONDS.test(text) || !Number.isSafeInteger(ms)) {
    throw invalid(`signed_at should be a number of ms since 1970, not ${shown(text)}`)
  }
  return ms
}

function required(fields: ReadonlyMap<string, string>, key: string): string {
  const value = fields.get(key)
  if (value === undefined) throw invalid(`${key} is missing`)
  return value
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 80))
}

function invalid(reason: string): RelayError {
  return new RelayError('INVALID_INPUT', `invalid metadata: ${reason}`)
}
