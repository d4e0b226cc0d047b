import { sign, verify } from 'node:crypto'
import { RelayError } from '../../values/failures/relay-error.js'
import type { TokenAlgorithm, TokenKey, TokenSigner } from './token-key.js'
import { formatTokenScope, parseTokenScope, type TokenScope } from './token-scope.js'

/** The longest token that is looked at, in characters. */
export const MAX_SIGNED_TOKEN_LENGTH = 4096
/** The scopes of a token, at most. */
export const MAX_SIGNED_SCOPES = 64
/** How far ahead a token may end. */
export const MAX_SIGNED_LIFETIME_MS = 366 * 24 * 3_600_000

/** Random bytes of the id of a new token. */
export const NEW_TOKEN_ID_BYTES = 16

const SECOND_MS = 1_000
const PARTS = /^([\w-]{1,1024})\.([\w-]{1,4096})\.([\w-]{1,256})$/
const TOKEN_ID = /^[\w-]{16,64}$/
/** A tag that encrypted tokens and nested ones do not have. */
const TYPES: readonly unknown[] = [undefined, 'JWT', 'jwt', 'at+jwt']

/** A token in its form, of which nothing is proved yet: a JWT (RFC 7519) in a compact JWS (RFC 7515). */
export interface UnprovedToken {
  readonly algorithm: string
  readonly keyId: string
  /** The bytes under the signature. */
  readonly signed: Buffer
  readonly signature: Buffer
  readonly payload: Buffer
}

/** The claims of a token whose signature is good. Times are in ms since 1970. */
export interface TokenClaims {
  readonly id: string
  /** The trees that it is for. */
  readonly audiences: readonly string[]
  /** The scopes that this program knows; others give no right. */
  readonly scopes: readonly TokenScope[]
  /** When it begins; undefined: at once. */
  readonly fromMs: number | undefined
  readonly untilMs: number
}

/** Whether `text` can be the id (`jti`) of a token. Those of tokens to join with are shorter. */
export function isSignedTokenId(text: string): boolean {
  return TOKEN_ID.test(text)
}

/** @returns undefined when `text` is no signed token */
export function readSignedToken(text: string): UnprovedToken | undefined {
  if (text.length > MAX_SIGNED_TOKEN_LENGTH) return undefined
  const [, headText = '', payloadText = '', signatureText = ''] = PARTS.exec(text) ?? []
  const [head, payload, signature] = [headText, payloadText, signatureText].map(decode)
  if (head === undefined || payload === undefined || signature === undefined) return undefined
  const { alg, kid, typ, crit } = objectIn(head) ?? {}
  // what `crit` names would have to be understood (RFC 7515, 4.1.11)
  if (typeof alg !== 'string' || typeof kid !== 'string' || !TYPES.includes(typ) || crit !== undefined) return undefined
  const signed = Buffer.from(text.slice(0, headText.length + 1 + payloadText.length), 'latin1')
  return { algorithm: alg, keyId: kid, signed, signature, payload }
}

/** Whether a key made the signature. The algorithm is that of the key: what the token says has to be the same. */
export function isSignedBy({ algorithm, keyId, signed, signature }: UnprovedToken, key: TokenKey): boolean {
  if (algorithm !== key.algorithm || keyId !== key.id) return false
  const { digest, dsaEncoding } = WAYS[key.algorithm]
  return verify(digest, signed, { key: key.publicKey, dsaEncoding }, signature)
}

/**
 * Reads the claims of a token whose signature is good.
 * @returns a text: what is wrong, for the holder
 */
export function readClaims({ payload }: Pick<UnprovedToken, 'payload'>): TokenClaims | string {
  const claims = objectIn(payload)
  if (claims === undefined) return 'its payload is no JSON object'
  const { jti, aud, exp, nbf, iat, scope = '' } = claims
  if (typeof jti !== 'string' || !isSignedTokenId(jti)) return 'its jti is no id of 16 to 64 letters, digits, _ and -'
  const audiences = typeof aud === 'string' ? [aud] : Array.isArray(aud) ? aud.filter(isText) : []
  const untilMs = timeOf(exp)
  if (untilMs === undefined) return 'it has no end (exp)'
  const begins = [nbf, iat].filter(time => time !== undefined).map(timeOf)
  if (begins.includes(undefined)) return 'its nbf or iat is no time'
  if (typeof scope !== 'string') return 'its scope is no text'
  const scopes = scope.split(' ').filter(text => text !== '')
  if (scopes.length > MAX_SIGNED_SCOPES) return `it has more than ${MAX_SIGNED_SCOPES} scopes`
  const fromMs = begins.length === 0 ? undefined : Math.max(...begins.filter(time => time !== undefined))
  return { id: jti, audiences, scopes: scopes.flatMap(text => parseTokenScope(text) ?? []), fromMs, untilMs }
}

/** The content of a token that is made. Times are in ms since 1970. */
export interface TokenContent {
  readonly id: string
  readonly scopes: readonly TokenScope[]
  readonly nowMs: number
  readonly untilMs: number
}

/** Makes a token. @throws {RelayError} INVALID_INPUT for so many scopes that relays would not look at it */
export function signToken(
  { key, privateKey, audience }: TokenSigner,
  { id, scopes, nowMs, untilMs }: TokenContent
): string {
  const head = { alg: key.algorithm, kid: key.id, typ: 'JWT' }
  const claims = {
    jti: id,
    aud: audience,
    iat: Math.floor(nowMs / SECOND_MS),
    exp: Math.floor(untilMs / SECOND_MS),
    scope: scopes.map(formatTokenScope).join(' ')
  }
  const signed = [head, claims].map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  const { digest, dsaEncoding } = WAYS[key.algorithm]
  const signature = sign(digest, Buffer.from(signed), { key: privateKey, dsaEncoding })
  const token = `${signed}.${signature.toString('base64url')}`
  if (scopes.length <= MAX_SIGNED_SCOPES && token.length <= MAX_SIGNED_TOKEN_LENGTH) return token
  throw new RelayError(
    'INVALID_INPUT',
    `a token has ${MAX_SIGNED_SCOPES} scopes and ${MAX_SIGNED_TOKEN_LENGTH} characters at most: give fewer scopes, or make several tokens`
  )
}

/** A signature of ES256 is both numbers, one behind the other (RFC 7518, 3.4). */
const WAYS: Readonly<Record<TokenAlgorithm, { readonly digest: string | null; readonly dsaEncoding: 'ieee-p1363' }>> = {
  EdDSA: { digest: null, dsaEncoding: 'ieee-p1363' },
  ES256: { digest: 'sha256', dsaEncoding: 'ieee-p1363' }
}

/** Node decodes leniently: only what encodes to the same text again is taken. */
function decode(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.length > 0 && bytes.toString('base64url') === text ? bytes : undefined
}

/** The object in JSON text; of a member that is there twice, the last one counts (RFC 7519, 4). */
function objectIn(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}

/** A `NumericDate`: seconds, with a fraction or without. */
function timeOf(value: unknown): number | undefined {
  if (typeof value !== 'number' || !(value >= 0) || value > Number.MAX_SAFE_INTEGER / SECOND_MS) return undefined
  return Math.floor(value * SECOND_MS)
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}
