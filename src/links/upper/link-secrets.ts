import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/** `<link id>.<its code>`, neither of them longer than this. */
const MAX_LENGTH = 128

/**
 * The secrets that the upper side gives with links. By one it knows the lower side's own requests where a proxy that
 * ends the TLS keeps the certificate from it. Nothing is kept of them but one key, which ends with this process.
 */
export class LinkSecrets {
  readonly #key = randomBytes(32)

  /** The secret of a link: 256 bits that nobody else can make. */
  of(linkId: string): string {
    return `${linkId}.${this.#code(linkId).toString('base64url')}`
  }

  /** @returns the id of the link that it was made for, which may have ended; undefined where it is none of ours */
  linkOf(secret: string): string | undefined {
    if (secret.length > MAX_LENGTH) return undefined
    const end = secret.lastIndexOf('.')
    if (end === -1) return undefined
    const linkId = secret.slice(0, end)
    const shown = Buffer.from(secret.slice(end + 1), 'base64url')
    const expected = this.#code(linkId)
    return shown.length === expected.length && timingSafeEqual(shown, expected) ? linkId : undefined
  }

  #code(linkId: string): Buffer {
    return createHmac('sha256', this.#key).update(linkId).digest()
  }
}
