import { randomBytes } from 'node:crypto'
import { signerOf } from './revocation-list.js'

/** The root's answer to a relay that asks which list is the newest, and what time it is. */
export interface ListConfirmation {
  /** The number of the newest list of the tree. */
  readonly number: number
  /** The root's clock, ms since 1970. */
  readonly timeMs: number
}

/** The longest confirmation, in characters. */
export const MAX_CONFIRMATION_LENGTH = 4_096

/** The first line: what the CA's key signs for something else never begins with it. */
const TITLE = 'treeline confirmation 1'
const NONCE = /^[\w-]{22}$/
const FORM =
  /^treeline confirmation 1\nnonce ([\w-]{22})\nnumber (0|[1-9]\d{0,15})\ntime (0|[1-9]\d{0,15})\nsignature ([A-Za-z0-9+/]{1,1368}={0,2})\n$/

/** A text that nobody can guess, and so no answer from before has. */
export function makeNonce(): string {
  return randomBytes(16).toString('base64url')
}

export function isNonce(text: string): boolean {
  return NONCE.test(text)
}

/** @param nonce of the relay that asks */
export function formatConfirmation(
  nonce: string,
  { number, timeMs }: ListConfirmation,
  sign: (text: Buffer) => Buffer
): string {
  const signed = `${TITLE}\nnonce ${nonce}\nnumber ${number}\ntime ${timeMs}\n`
  return `${signed}signature ${sign(Buffer.from(signed)).toString('base64')}\n`
}

/**
 * @param nonce that was asked with
 * @param ca PEM: one of these has to have signed it
 * @returns undefined for anything but an answer of the root to this very question
 */
export function readConfirmation(text: string, nonce: string, ca: string): ListConfirmation | undefined {
  if (text.length > MAX_CONFIRMATION_LENGTH) return undefined
  const [, answered, number, time, signature = ''] = FORM.exec(text) ?? []
  if (answered !== nonce) return undefined
  const signed = Buffer.from(text.slice(0, text.lastIndexOf('signature ')))
  if (signerOf(ca, signed, Buffer.from(signature, 'base64')) === undefined) return undefined
  return { number: Number(number), timeMs: Number(time) }
}
