import { type KeyObject, verify, X509Certificate } from 'node:crypto'
import { certificateBlocks } from '../../keys/certificates/pem.js'
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

/** All that the root revoked and that would not have ended yet. */
export interface RevocationList {
  /** Rises with each list of a tree. */
  readonly number: number
  /** The revoked certificates in the order of their fingerprints, each once. */
  readonly entries: readonly RevokedCertificate[]
}

/** A list that cannot be read, or that no CA of this tree signed. */
export class RevocationListError extends Error {
  override name = 'RevocationListError'
}

export const MAX_REVOKED = 2_000
/** The size of a list, more than so many entries take. */
export const MAX_LIST_LENGTH = 512 * 1024

/** The first line: what the CA's key signs for something else never begins with it. */
const TITLE = 'treeline revocations 1'
const NUMBER = /^number (0|[1-9]\d{0,15})$/
const ENTRY = /^([0-9a-f]{64}) (0|[1-9]\d{0,15}) (\S{1,128})$/
const SIGNATURE = /^signature ([A-Za-z0-9+/]{1,1368}={0,2})$/

/** @returns the whole list as text, to be kept and handed on as it is */
export function formatRevocationList({ number, entries }: RevocationList, sign: (text: Buffer) => Buffer): string {
  const lines = entries.map(({ fingerprint, untilMs, id }) => `${fingerprint} ${untilMs} ${id}\n`)
  const signed = `${TITLE}\nnumber ${number}\n${lines.join('')}`
  return `${signed}signature ${sign(Buffer.from(signed)).toString('base64')}\n`
}

/**
 * Reads a list that came from anyone.
 * @param ca PEM: one of these has to have signed it
 * @throws {RevocationListError}
 */
export function readList(text: string, ca: string): RevocationList {
  const { list, signed, signature } = parseList(text)
  const isSigned = certificateBlocks(ca).some(pem => isSignedBy(pem, signed, signature))
  if (isSigned) return list
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
  if (between.length > MAX_REVOKED) throw malformed(`it has more than ${MAX_REVOKED} entries`)
  const entries = between.map(readEntry)
  const isSorted = entries.every(
    ({ fingerprint }, at) => at === 0 || (entries[at - 1]?.fingerprint ?? '') < fingerprint
  )
  if (!isSorted) throw malformed('its entries are not in order')
  const signed = Buffer.from(text.slice(0, text.length - signatureLine.length - 1))
  return { list: { number, entries }, signed, signature: Buffer.from(signature, 'base64') }
}

function readEntry(line: string): RevokedCertificate {
  const [, fingerprint = '', until = '', id = ''] = ENTRY.exec(line) ?? []
  const untilMs = Number(until)
  if (!isNodeId(id) || !Number.isSafeInteger(untilMs)) throw malformed('a line of it is no entry')
  return { id, fingerprint, untilMs }
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
