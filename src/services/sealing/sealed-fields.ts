import type { Fields } from '../http1/fields.js'
import { BrokenSealError, type HeaderSeals } from './header-seals.js'

/** The headers that cross the tree sealed, and the keys of the seals. */
export interface Sealing {
  /** Names in lower case. */
  readonly names: ReadonlySet<string>
  readonly seals: HeaderSeals
}

/** The header by which Spinnaker names its user. */
const SPINNAKER_USER = 'x-spinnaker-user'

/**
 * Seals the headers of a caller's request. One that is sealed already, and comes back, stays as it is.
 * @throws {BrokenSealError} for one that is sealed and has expired, or is too long
 */
export function sealFields(fields: Fields, { names, seals }: Sealing, nowMs: number): Fields {
  return mapped(fields, names, (name, value) => {
    return seals.open(name, value, nowMs) === undefined ? seals.seal(name, value, nowMs) : value
  })
}

/** Opens the sealed headers of a request for a service of this process. @throws {BrokenSealError} for one that is not sealed */
export function openFields(fields: Fields, { names, seals }: Sealing, nowMs: number): Fields {
  return mapped(fields, names, (name, value) => opened(seals, name, value, nowMs, `the header ${name}`))
}

/**
 * Opens the user in the path of a question to Spinnaker's Fiat: `GET /authorize/<user>`, and what is below it.
 * @param target the path at the service and the query
 * @throws {BrokenSealError} for a user that is not sealed, and for a path that Fiat could read as such a question
 */
export function openAuthorizedUser(method: string, target: string, { names, seals }: Sealing, nowMs: number): string {
  if (!names.has(SPINNAKER_USER) || !['GET', 'HEAD'].includes(method) || !asksForUser(target)) return target
  const match = /^(\/authorize\/)([\w.-]+)((?:[/?].*)?)$/s.exec(target)
  if (match === null) throw new BrokenSealError('the path has another form than /authorize/<sealed user>')
  const [, before = '', token = '', behind = ''] = match
  const user = opened(seals, SPINNAKER_USER, token, nowMs, 'the user in the path')
  return before + encodeURIComponent(Buffer.from(user, 'latin1').toString('utf8')) + behind
}

/** Whether a server may read the path as `/authorize/<user>`: by decoding it, or leaving out what says nothing. */
function asksForUser(target: string): boolean {
  let path = target.split('?', 1)[0] ?? ''
  for (let layer = 0; layer < 3; layer += 1) {
    path = path.replace(/%([0-9a-f]{2})/gi, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  }
  const segments = path
    .split(/[/\\]/)
    .map(segment => segment.replace(/;.*$/s, '').trim().toLowerCase())
    .filter(segment => segment !== '' && segment !== '.')
  return segments[0] === 'authorize' && segments.length > 1
}

function mapped(fields: Fields, names: ReadonlySet<string>, change: (name: string, value: string) => string): Fields {
  const isSealed = (name: string) => names.has(name.toLowerCase().replaceAll('_', '-')) // CGI and WSGI read both as one
  if (!fields.some((text, at) => at % 2 === 0 && isSealed(text))) return fields
  return fields.map((text, at) => {
    const name = at % 2 === 0 ? text : (fields[at - 1] ?? '')
    if (!isSealed(name)) return text
    const plain = name.replaceAll('_', '-')
    return at % 2 === 0 ? plain : change(plain.toLowerCase(), text)
  })
}

function opened(seals: HeaderSeals, name: string, token: string, nowMs: number, what: string): string {
  let value: string | undefined
  try {
    value = seals.open(name, token, nowMs)
  } catch (error) {
    if (!(error instanceof BrokenSealError)) throw error
    throw new BrokenSealError(`${what} cannot be opened: ${error.message}`, { cause: error })
  }
  if (value !== undefined) return value
  throw new BrokenSealError(`${what} is not sealed by a relay with the same key: it has to come from such a relay`)
}
