import { type KeyObject, verify, X509Certificate } from 'node:crypto'
import { certificateBlocks } from '../../keys/certificates/pem.js'
import { isSignedTokenId } from '../../keys/tokens/signed-token.js'
import { isTokenKeyId, TOKEN_ALGORITHMS, type TokenAlgorithm } from '../../keys/tokens/token-key.js'
import { isNodeId } from '../../values/ids.js'

/** A certificate that was revoked before its end. */
export interface RevokedCertificate {
  /** The id of the certificate's owner. */
  readonly id: string
  /** SHA-256 of its DER form, lower-case hex. */
  readonly fingerprint: string
  /** When it ends by itself, ms since 1970. */
  readonly untilMs: number
}

/** A key by which tokens are known to be of this tree. */
export interface ListedTokenKey {
  readonly id: string
  readonly algorithm: TokenAlgorithm
  /** SubjectPublicKeyInfo, DER, base64. */
  readonly publicKey: string
}

/** A token, or a certificate of a caller, that was revoked. */
export interface RevokedToken {
  /** The `jti` of a token; of a certificate the SHA-256 of its DER form, lower-case hex. */
  readonly id: string
  /** When it has ended by itself at the latest, ms since 1970. */
  readonly untilMs: number
}

/** All that the root says of certificates and tokens: what it revoked, and which keys sign tokens. */
export interface RevocationList {
  /** Rises with each list of a tree. */
  readonly number: number
  /** The revoked certificates in the order of their fingerprints, each once. */
  readonly entries: readonly RevokedCertificate[]
  /** The keys of tokens in the order in which they were made, each once. */
  readonly keys: readonly ListedTokenKey[]
  /** The revoked tokens in the order in which they were revoked, each once. */
  readonly tokens: readonly RevokedToken[]
}

/** A list that cannot be read, or that no CA of this tree signed. */
export class RevocationListError extends Error {
  override name = 'RevocationListError'
}

export const MAX_REVOKED = 2_000
export const MAX_TOKEN_KEYS = 16
export const MAX_REVOKED_TOKENS = 2_000
/** The size of a list, more than so many entries take. */
export const MAX_LIST_LENGTH = 768 * 1024

/** The first line: what the CA's key signs for something else never begins with it. */
const TITLE = 'treeline revocations 1'
const NUMBER = /^number (0|[1-9]\d{0,15})$/
const ENTRY = /^([0-9a-f]{64}) (0|[1-9]\d{0,15}) (\S{1,128})$/
const KEY = /^key ([\w-]{43}) ([A-Za-z0-9]{1,8}) ([A-Za-z0-9+/]{1,200}={0,2})$/
const TOKEN = /^token ([\w-]{1,64}) (0|[1-9]\d{0,15})$/
const SIGNATURE = /^signature ([A-Za-z0-9+/]{1,1368}={0,2})$/

/** @returns the whole list as text, to be kept and handed on as it is */
export function formatRevocationList(
  { number, entries, keys = [], tokens = [] }: Pick<RevocationList, 'number' | 'entries'> & Partial<RevocationList>,
  sign: (text: Buffer) => Buffer
): string {
  const lines = [
    ...entries.map(({ fingerprint, untilMs, id }) => `${fingerprint} ${untilMs} ${id}\n`),
    ...keys.map(({ id, algorithm, publicKey }) => `key ${id} ${algorithm} ${publicKey}\n`),
    ...tokens.map(({ id, untilMs }) => `token ${id} ${untilMs}\n`)
  ]
  const signed = `${TITLE}\nnumber ${number}\n${lines.join('')}`
  return `${signed}signature ${sign(Buffer.from(signed)).toString('base64')}\n`
}

/**
 * Reads a list that came from anyone.
 * @param ca PEM: one of these has to have signed it
 * @throws {RevocationListError}
 */
export function readList(text: string, ca: string): RevocationList {
  return readSignedList(text, ca).list
}

/** The same, with the PEM of the certificate of the CA that signed it. */
export function readSignedList(text: string, ca: string): { readonly list: RevocationList; readonly signer: string } {
  const { list, signed, signature } = parseList(text)
  const signer = signerOf(ca, signed, signature)
  if (signer !== undefined) return { list, signer }
  throw new RevocationListError('the list of revoked certificates is not signed by the CA of this tree')
}

/** Parses a list, without checking who made it. @throws {RevocationListError} */
export function parseList(text: string): { list: RevocationList; signed: Buffer; signature: Buffer } {
  if (text.length > MAX_LIST_LENGTH) throw malformed(`it is longer than ${MAX_LIST_LENGTH} characters`)
  const lines = text.split('\n')
  const [title, numberLine = ''] = lines
  const signatureLine = lines.at(-2) ?? ''
  const number = Number(NUMBER.exec(numberLine)?.[1] ?? Number.NaN)
  const signature = SIGNATURE.exec(signatureLine)?.[1]
  if (title !== TITLE || lines.at(-1) !== '' || signature === undefined) throw malformed('its frame is another one')
  if (!Number.isSafeInteger(number)) throw malformed('it has no number')
  const between = lines.slice(2, -2)
  const keyLines = between.filter(line => line.startsWith('key '))
  const tokenLines = between.filter(line => line.startsWith('token '))
  const entryLines = between.slice(0, between.length - keyLines.length - tokenLines.length)
  if (entryLines.length > MAX_REVOKED) throw malformed(`it has more than ${MAX_REVOKED} entries`)
  if (keyLines.length > MAX_TOKEN_KEYS) throw malformed(`it has more than ${MAX_TOKEN_KEYS} keys`)
  if (tokenLines.length > MAX_REVOKED_TOKENS) throw malformed(`it has more than ${MAX_REVOKED_TOKENS} tokens`)
  const entries = entryLines.map(readEntry)
  const keys = distinct(keyLines.map(readKey))
  const tokens = distinct(tokenLines.map(readToken))
  const isSorted = entries.every(
    ({ fingerprint }, at) => at === 0 || (entries[at - 1]?.fingerprint ?? '') < fingerprint
  )
  if (!isSorted) throw malformed('its entries are not in order')
  const signed = Buffer.from(text.slice(0, text.length - signatureLine.length - 1))
  return { list: { number, entries, keys, tokens }, signed, signature: Buffer.from(signature, 'base64') }
}

function readEntry(line: string): RevokedCertificate {
  const [, fingerprint = '', until = '', id = ''] = ENTRY.exec(line) ?? []
  const untilMs = Number(until)
  if (!isNodeId(id) || !Number.isSafeInteger(untilMs)) throw malformed('a line of it is no entry')
  return { id, fingerprint, untilMs }
}

function readKey(line: string): ListedTokenKey {
  const [, id = '', name, publicKey = ''] = KEY.exec(line) ?? []
  const algorithm = TOKEN_ALGORITHMS.find(one => one === name)
  if (algorithm === undefined || !isTokenKeyId(id)) throw malformed('a line of it is no key')
  return { id, algorithm, publicKey }
}

function readToken(line: string): RevokedToken {
  const [, id = '', until = ''] = TOKEN.exec(line) ?? []
  const untilMs = Number(until)
  if (!isSignedTokenId(id) || !Number.isSafeInteger(untilMs)) throw malformed('a line of it is no token')
  return { id, untilMs }
}

function distinct<T extends { readonly id: string }>(items: readonly T[]): readonly T[] {
  if (new Set(items.map(({ id }) => id)).size === items.length) return items
  throw malformed('a line of it is there twice')
}

/** The certificate among those of `ca` whose key made a signature. */
export function signerOf(ca: string, signed: Buffer, signature: Buffer): string | undefined {
  return certificateBlocks(ca).find(pem => isSignedBy(pem, signed, signature))
}

function isSignedBy(pem: string, signed: Buffer, signature: Buffer): boolean {
  try {
    const { publicKey } = new X509Certificate(pem)
    return verify(digestFor(publicKey), signed, publicKey, signature)
  } catch {
    return false // no certificate, or a key that signs nothing
  }
}

/** Ed25519 and Ed448 have a hash of their own. */
export function digestFor({ asymmetricKeyType }: KeyObject): 'sha256' | null {
  return asymmetricKeyType === 'ed25519' || asymmetricKeyType === 'ed448' ? null : 'sha256'
}

function malformed(why: string): RevocationListError {
  return new RevocationListError(`what was given is no list of revoked certificates: ${why}`)
}
