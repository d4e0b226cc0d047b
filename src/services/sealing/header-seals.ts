import { createHmac, timingSafeEqual } from 'node:crypto'

/** How long a sealed value can be opened. */
export const SEAL_LIFETIME_MS = 15 * 60 * 1000
/** How far the clocks of relays with the same key may be apart. */
const SKEW_MS = 60_000

/** Longer ones are no values of a header that names a user. */
const MAX_VALUE_CHARS = 4 * 1024
const TOKEN = /^([\w-]{1,64})\.([\w-]{1,8192})\.([\w-]{43})$/
/** The type keeps these tokens apart from all others (RFC 8725, 3.11). */
const HEADER = part({ alg: 'HS256', typ: 'treeline-sealed+jwt' })

/** Why a value is none that was sealed here. */
export class BrokenSealError extends Error {
  override name = 'BrokenSealError'
}

/**
 * Seals values of headers: each becomes a signed token of 15 minutes, for one header. The token is a JWT (RFC 7519) with
 * the value in `u` and the header in `h`; it keeps no secret.
 */
export class HeaderSeals {
  /** @param keys secrets: the first one seals, all of them open. At least one */
  constructor(private readonly keys: readonly [Buffer, ...Buffer[]]) {}

  /** @param name of the header, in any case @param value one character a byte @throws {BrokenSealError} when it is too long */
  seal(name: string, value: string, nowMs: number): string {
    if (value.length > MAX_VALUE_CHARS) throw new BrokenSealError(`the header has more than ${MAX_VALUE_CHARS} bytes`)
    const exp = Math.floor((nowMs + SEAL_LIFETIME_MS) / 1_000)
    const signed = `${HEADER}.${part({ h: name.toLowerCase(), u: value, exp })}`
    return `${signed}.${sign(this.keys[0], signed)}`
  }

  /**
   * @param name of the header, in any case
   * @returns the value; undefined where the text is none that was sealed with one of the keys for this header
   * @throws {BrokenSealError} for one that has expired
   */
  open(name: string, token: string, nowMs: number): string | undefined {
    const [, header, payload = '', signature = ''] = TOKEN.exec(token) ?? []
    if (header !== HEADER) return undefined
    const isOurs = this.keys.some(key => isSame(sign(key, `${header}.${payload}`), signature))
    if (!isOurs) return undefined
    const { h, u, exp } = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Readonly<
      Record<string, unknown>
    >
    if (h !== name.toLowerCase() || typeof u !== 'string' || typeof exp !== 'number') return undefined
    if (nowMs > exp * 1_000 + SKEW_MS) throw new BrokenSealError('it was sealed more than 15 minutes ago')
    return u
  }
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function sign(key: Buffer, text: string): string {
  return createHmac('sha256', key).update(text).digest('base64url')
}

function isSame(one: string, other: string): boolean {
  return timingSafeEqual(Buffer.from(one), Buffer.from(other)) // both have 43 characters
}
