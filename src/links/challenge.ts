import { createPublicKey, type KeyObject, randomBytes, sign, verify, X509Certificate } from 'node:crypto'
import type { VersionRange } from './protocol.js'

/**
 * What the two ends of a new link tell each other before anything else, as JSON text messages: challenge, identity,
 * welcome or refusal (design, "Trust": a link's identity does not depend on who ended the TLS).
 */
export interface Challenge {
  readonly treeline: 'challenge'
  readonly versions: VersionRange
  /** 32 random bytes, base64. */
  readonly nonce: string
  /** Id of the upper side. */
  readonly relay: string
}

/** What a WebSocket is to be: the link of a relay or node, or a lane of a link that stands. */
export type Purpose = 'link' | 'lane'

export interface Identity {
  readonly treeline: 'identity'
  readonly version: number
  /** Of the program, for `treeline links`. */
  readonly program: string
  readonly purpose: Purpose
  /** Of the link that a lane belongs to. */
  readonly link?: string
  /** DER, base64. */
  readonly certificate: string
  /** By the certificate's key, over {@link signedText}; base64. */
  readonly signature: string
}

export interface Welcome {
  readonly treeline: 'welcome'
  readonly link: string
  readonly pingMs: number
}

export interface Refusal {
  readonly treeline: 'refused'
  readonly reason: string
}

/** What the other side sent is no such message, or does not prove what it says. */
export class ChallengeError extends Error {
  override name = 'ChallengeError'
}

const MAX_TEXT = 16 * 1024

export function makeChallenge(relay: string, versions: VersionRange): Challenge {
  return { treeline: 'challenge', versions, nonce: randomBytes(32).toString('base64'), relay }
}

/** Names the upper side, so that an answer given to one relay cannot be shown to another. */
function signedText(challenge: Pick<Challenge, 'nonce' | 'relay'>, purpose: Purpose, link: string): Buffer {
  return Buffer.from(['treeline link', challenge.nonce, challenge.relay, purpose, link, ''].join('\n'))
}

export interface Credentials {
  /** DER. */
  readonly certificate: Buffer
  readonly key: KeyObject
}

export function answerChallenge(
  challenge: Challenge,
  credentials: Credentials,
  what: { readonly version: number; readonly program: string; readonly purpose: Purpose; readonly link?: string }
): Identity {
  const text = signedText(challenge, what.purpose, what.link ?? '')
  return {
    treeline: 'identity',
    ...what,
    certificate: credentials.certificate.toString('base64'),
    signature: sign(digestFor(credentials.key), text, credentials.key).toString('base64')
  }
}

/**
 * @returns the certificate whose holder answered
 * @throws {ChallengeError} when the signature is not by its key, over this challenge
 */
export function checkAnswer(challenge: Challenge, identity: Identity): Buffer {
  const certificate = Buffer.from(identity.certificate, 'base64')
  const text = signedText(challenge, identity.purpose, identity.link ?? '')
  let isGood: boolean
  try {
    const key = createPublicKey(new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'pem' }))
    isGood = verify(digestFor(key), text, key, Buffer.from(identity.signature, 'base64'))
  } catch (cause) {
    throw new ChallengeError('the certificate or its signature cannot be read', { cause })
  }
  if (!isGood) throw new ChallengeError('the signature is not one of its certificate over this challenge')
  return certificate
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

/** @throws {ChallengeError} */
export function parseIdentity(text: string): Identity {
  const { treeline, version, program, purpose, link, certificate, signature } = parseObject(text)
  if (
    treeline !== 'identity' ||
    !isVersion(version) ||
    (purpose !== 'link' && purpose !== 'lane') ||
    typeof certificate !== 'string' ||
    typeof signature !== 'string' ||
    !(link === undefined || typeof link === 'string')
  ) {
    throw new ChallengeError('an identity was expected')
  }
  const shown = typeof program === 'string' ? program.replaceAll(/\p{C}/gu, '').slice(0, 40) : ''
  return { treeline, version, program: shown, purpose, certificate, signature, ...(link === undefined ? {} : { link }) }
}

/** @throws {ChallengeError} with the reason of a refusal */
export function parseWelcome(text: string): Welcome {
  const { treeline, link, pingMs } = parseObject(text)
  if (treeline === 'refused') throw new ChallengeError(reasonIn(text))
  if (treeline !== 'welcome' || typeof link !== 'string' || typeof pingMs !== 'number' || !(pingMs > 0)) {
    throw new ChallengeError('a welcome was expected')
  }
  return { treeline, link, pingMs }
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
  throw new ChallengeError('the challenge does not say which versions it knows')
}

function isVersion(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function reasonIn(text: string): string {
  const { reason } = parseObject(text)
  return typeof reason === 'string' ? reason.replaceAll(/\p{C}/gu, '').slice(0, 300) : 'refused, without a reason'
}
