import { type Fields, isNamed } from '../http1/fields.js'

/** A token that a caller may have sent for the relay, or for the service. */
export interface ShownToken {
  readonly token: string
  /** The index of its header's name among the fields. */
  readonly at: number
  readonly place: 'bearer' | 'basic' | 'relay-token'
}

/** The headers in which only tokens of a relay stand; the second one is that of Styra's and OpsMx's callers. */
export const RELAY_TOKEN_HEADERS = ['X-Relay-Token', 'X-Opsmx-Token'] as const

/** The length of all three names. */
const NAME_LENGTH = 13
const BEARER = /^Bearer +(\S+)$/i
const BASIC = /^Basic +([A-Za-z0-9+/]+={0,2})$/i

/**
 * Finds the tokens in the headers of a request: after `Bearer` or as the password of `Basic` in `Authorization`, and in
 * the headers of a relay's own.
 */
export function readShownTokens(fields: Fields): ShownToken[] {
  const shown: ShownToken[] = []
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at] ?? ''
    if (name.length !== NAME_LENGTH) continue // so it is with nearly all
    const value = fields[at + 1] ?? ''
    if (isNamed(name, 'x-relay-token') || isNamed(name, 'x-opsmx-token')) {
      if (value !== '') shown.push({ token: value, at, place: 'relay-token' })
    } else if (isNamed(name, 'authorization')) {
      const bearer = BEARER.exec(value)?.[1]
      const password = bearer === undefined ? passwordIn(value) : undefined
      if (bearer !== undefined) shown.push({ token: bearer, at, place: 'bearer' })
      else if (password !== undefined) shown.push({ token: password, at, place: 'basic' })
    }
  }
  return shown
}

/** The fields but those at the given indices. */
export function withoutTokens(fields: Fields, shown: readonly Pick<ShownToken, 'at'>[]): string[] {
  const dropped = new Set(shown.map(({ at }) => at))
  return fields.filter((_text, index) => !dropped.has(index - (index % 2)))
}

function passwordIn(authorization: string): string | undefined {
  const encoded = BASIC.exec(authorization)?.[1]
  if (encoded === undefined) return undefined
  const credentials = Buffer.from(encoded, 'base64').toString('latin1')
  const colon = credentials.indexOf(':')
  return colon === -1 ? undefined : credentials.slice(colon + 1)
}
