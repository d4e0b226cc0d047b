import { malformed } from './bad-message-error.js'
import { type Fields, parseFields } from './fields.js'

/**
 * Fields that say how a message is framed, routed, guarded or read, and so must be known before its body (RFC 9110,
 * 6.5.1). A receiver that merged them into the head would read another message.
 */
const NEVER_IN_TRAILERS = new Set(
  [
    'content-length transfer-encoding host connection keep-alive proxy-connection upgrade te trailer expect',
    'max-forwards cache-control pragma range if-match if-none-match if-modified-since if-unmodified-since if-range',
    'authorization proxy-authorization cookie www-authenticate proxy-authenticate set-cookie content-encoding',
    'content-type content-range age date expires location retry-after vary',
    'forwarded x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-prefix'
  ].flatMap(names => names.split(' '))
)

/** Whether a field may stand behind a body. @param name in whatever case */
export function isTrailerName(name: string): boolean {
  return !NEVER_IN_TRAILERS.has(name.toLowerCase())
}

/**
 * Reads the trailers of a message.
 * @param block field lines with the empty line at their end
 * @throws {BadMessageError}
 */
export function parseTrailers(block: string): Fields {
  const fields = parseFields(block, 0)
  checkTrailerNames(fields)
  return fields
}

/** @throws {BadMessageError} when a field may not stand behind a body */
export function checkTrailerNames(fields: Fields): void {
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] ?? ''
    if (!isTrailerName(name)) throw malformed(`the header ${name} stands behind the body, where it has no meaning`)
  }
}
