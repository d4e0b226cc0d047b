import { type KeyObject, randomBytes, sign, verify, X509Certificate } from 'node:crypto'
import { tooCostly } from '../../keys/certificates/key-cost.js'
import { CLIENT_KEY_RULE, isClientId, isClientKey } from '../../keys/tokens/client-key.js'
import { describeMismatch, type VersionRange } from '../../values/protocol-version.js'

/**
 * The messages of the handshake, which the two ends of a new link exchange before anything else, as JSON text:
 * challenge, identity, welcome or refusal (design, "Trust": a link's identity does not depend on who ended the TLS).
 */
export interface Challenge {
  readonly treeline: 'challenge'
  readonly versions: VersionRange
  /** 32 random bytes, base64. */
  readonly nonce: string
  /** Id of the upper side. */
  readonly relay: string
}

/** The purpose of a connection: a link, a lane of a link that stands, or the lane that carries its streams. */
export type ConnectionPurpose = (typeof PURPOSES)[number]
const PURPOSES = ['link', 'lane', 'streams'] as const

/** The proof of a client's identity: it has no certificate, and its key is a name of its own, never a node's. */
export interface ClientProof {
  readonly key: string
  /** Tells the replicas under one key apart. */
  readonly id: string
  /** A secret. */
  readonly token: string
}

/** The proof of a relay's or node's identity. */
export interface CertificateProof {
  /** DER, base64. */
  readonly certificate: string
  /** SHA-256 of the certificate that whoever ended the TLS showed, lower-case hex; empty without TLS. */
  readonly seen: string
  /** The signature by the certificate's key, over {@link signedText}; base64. */
  readonly signature: string
}

export type Identity = IdentityMembers & (CertificateProof | { readonly client: ClientProof })

interface IdentityMembers {
  readonly treeline: 'identity'
  readonly version: number
  /** The version of the program, for `treeline links`. */
  readonly program: string
  readonly purpose: ConnectionPurpose
  /** The id of the link that a lane belongs to. */
  readonly link?: string
  /** Whether there may be services behind a link, whose keys can be asked for. Older programs say nothing. */
  readonly services?: boolean
}

export interface Welcome {
  readonly treeline: 'welcome'
  readonly link: string
  readonly pingMs: number
  /** The secret for requests of the lower side's own; older relays give none. */
  readonly secret?: string
}

export interface Refusal {
  readonly treeline: 'refused'
  readonly reason: string
}

/** A message of the other side that is malformed, or does not prove what it claims. */
export class ChallengeError extends Error {
  override name = 'ChallengeError'
}

/** The other side is whom we meant, and wants no link with us. */
export class LinkRefusedError extends ChallengeError {
  override name = 'LinkRefusedError'

  constructor(
    readonly relay: string,
    message: string
  ) {
    super(message)
  }
}

const MAX_TEXT = 16 * 1024

export function makeChallenge(relay: string, versions: VersionRange): Challenge {
  return { treeline: 'challenge', versions, nonce: randomBytes(32).toString('base64'), relay }
}

/**
 * Names the upper side, by its id and by the certificate that it showed, so that an answer given to one relay cannot be
 * shown to another.
 */
function signedText(challenge: Pick<Challenge, 'nonce' | 'relay'>, { purpose, link, seen }: Signed): Buffer {
  return Buffer.from(['treeline link 2', challenge.nonce, challenge.relay, seen, purpose, link ?? '', ''].join('\n'))
}

interface Signed {
  readonly purpose: ConnectionPurpose
  readonly link?: string
  readonly seen: string
}

export type Credentials = CertificateCredentials | { readonly client: ClientProof }

export interface CertificateCredentials {
  /** DER. */
  readonly certificate: Buffer
  readonly key: KeyObject
}

export function answerChallenge(
  challenge: Challenge,
  credentials: Credentials,
  { fingerprint: seen }: { readonly fingerprint: string },
  what: Omit<IdentityMembers, 'treeline'>
): Identity {
  if ('client' in credentials) return { treeline: 'identity', ...what, client: credentials.client }
  const text = signedText(challenge, { ...what, seen })
  return {
    treeline: 'identity',
    ...what,
    seen,
    certificate: credentials.certificate.toString('base64'),
    signature: sign(digestFor(credentials.key), text, credentials.key).toString('base64')
  }
}

/**
 * Checks the proof in an answer. Called for a known certificate alone: it may hold any key.
 * @param own SHA-256 of the certificate that was shown to the lower side, lower-case hex; undefined where somebody
 *   else (a web server) ended the TLS
 * @throws {ChallengeError} when the signature is not by the certificate's key, over this challenge, or when the lower
 *   side was shown another certificate
 */
export function checkAnswer(
  challenge: Challenge,
  identity: IdentityMembers & CertificateProof,
  own: string | undefined
): void {
  if (own !== undefined && identity.seen !== own) {
    throw new ChallengeError('it saw another certificate than the one of this relay: somebody stands in between')
  }
  let isGood: boolean
  try {
    const key = new X509Certificate(Buffer.from(identity.certificate, 'base64')).publicKey
    const why = tooCostly(key)
    if (why !== undefined) throw new ChallengeError(why)
    isGood = verify(digestFor(key), signedText(challenge, identity), key, Buffer.from(identity.signature, 'base64'))
  } catch (cause) {
    if (cause instanceof ChallengeError) throw cause
    throw new ChallengeError('the certificate or its signature cannot be read', { cause })
  }
  if (!isGood) throw new ChallengeError('the signature is not one of its certificate over this challenge')
}

/** Ed25519 and Ed448 have a hash of their own. */
function digestFor(key: KeyObject): 'sha256' | null {
  return key.asymmetricKeyType === 'ed25519' || key.asymmetricKeyType === 'ed448' ? null : 'sha256'
}

/** @throws {ChallengeError} */
export function parseChallenge(text: string): Challenge {
  const { treeline, versions, nonce, relay } = parseObject(text)
  if (treeline === 'refused') throw new ChallengeError(reasonIn(text))
  if (treeline !== 'challenge' || typeof nonce !== 'string' || typeof relay !== 'string') {
    throw new ChallengeError('a challenge was expected')
  }
  return { treeline, versions: parseRange(versions), nonce, relay }
}

/** The message of a lower side that knows none of the upper side's versions, so that both can tell. */
export function formatNoVersion(versions: VersionRange): string {
  return JSON.stringify({ treeline: 'no version', versions })
}

/** @throws {ChallengeError} naming both ranges, where the lower side knows none of ours */
export function parseIdentity(text: string, own: VersionRange): Identity {
  const { treeline, version, program, purpose, link, services, versions, ...proof } = parseObject(text)
  if (treeline === 'no version') throw new ChallengeError(describeMismatch('the caller', parseRange(versions), own))
  if (
    treeline !== 'identity' ||
    !isVersion(version) ||
    !isPurpose(purpose) ||
    !(link === undefined || typeof link === 'string')
  ) {
    throw new ChallengeError('an identity was expected')
  }
  const shown = typeof program === 'string' ? program.replaceAll(/\p{C}/gu, '').slice(0, 40) : ''
  const ofLink = { ...(link === undefined ? {} : { link }), ...(services === true ? { services } : {}) }
  const members = { treeline, version, program: shown, purpose, ...ofLink } as const
  if (proof.client !== undefined) return { ...members, client: parseClient(proof.client) }
  const { certificate, signature, seen = '' } = proof
  if (typeof certificate === 'string' && typeof signature === 'string' && typeof seen === 'string') {
    return { ...members, certificate, signature, seen }
  }
  throw new ChallengeError('an identity with a certificate, or that of a client, was expected')
}

function parseClient(value: unknown): ClientProof {
  if (typeof value === 'object' && value !== null && 'key' in value && 'id' in value && 'token' in value) {
    const { key, id, token } = value
    if (typeof key === 'string' && typeof id === 'string' && typeof token === 'string') {
      if (!isClientKey(key)) throw new ChallengeError(`the client key is not one: ${CLIENT_KEY_RULE}`)
      if (!isClientId(id)) throw new ChallengeError('the client id is not one: letters, digits, _, - and . are allowed')
      return { key, id, token }
    }
  }
  throw new ChallengeError('a client says its key, its id and its token')
}

/** @param relay that was to welcome us @throws {LinkRefusedError} with its reason @throws {ChallengeError} */
export function parseWelcome(text: string, relay: string): Welcome {
  const { treeline, link, pingMs, secret } = parseObject(text)
  if (treeline === 'refused') throw new LinkRefusedError(relay, reasonIn(text))
  if (treeline !== 'welcome' || typeof link !== 'string' || !isPingInterval(pingMs)) {
    throw new ChallengeError('a welcome was expected')
  }
  return { treeline, link, pingMs, ...(isSecret(secret) ? { secret } : {}) }
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = text.length > MAX_TEXT ? undefined : JSON.parse(text)
  } catch {
    value = undefined
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ChallengeError('what was sent is no message of a link')
  }
  return { ...value }
}

function parseRange(value: unknown): VersionRange {
  if (typeof value === 'object' && value !== null && 'oldest' in value && 'newest' in value) {
    const { oldest, newest } = value
    if (isVersion(oldest) && isVersion(newest)) return { oldest, newest }
  }
  throw new ChallengeError('the other side does not say which versions it knows')
}

function isPurpose(value: unknown): value is ConnectionPurpose {
  return PURPOSES.some(purpose => purpose === value)
}

/** Whether the value can be sent as a header. */
function isSecret(value: unknown): value is string {
  return typeof value === 'string' && /^[\w.~+/=-]{16,512}$/.test(value)
}

/** Whether the interval is within what a timer takes: beyond, Node would fire at once, again and again. */
function isPingInterval(value: unknown): value is number {
  return typeof value === 'number' && value >= 1 && value < 2 ** 31
}

function isVersion(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function reasonIn(text: string): string {
  const { reason } = parseObject(text)
  return typeof reason === 'string' ? reason.replaceAll(/\p{C}/gu, '').slice(0, 300) : 'refused, without a reason'
}
