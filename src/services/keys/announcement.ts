import { isClientId, isClientKey } from '../../keys/tokens/client-key.js'
import { type Annotations, parseAnnotations } from '../../values/annotations.js'
import { isNodeId } from '../../values/ids.js'
import { MAX_STREAM_HOPS } from './forward-stream.js'
import type { ReplicaFacts } from './replica.js'

/**
 * A line on a stream of the kind `keys`. The lower side numbers the replicas that it reaches, tells each that comes and
 * goes, and says when the first ones are complete; the upper side answers with those that it does not take.
 */
export type KeyLine =
  | { readonly says: 'replica'; readonly number: number; readonly facts: ReplicaFacts }
  | { readonly says: 'gone'; readonly number: number }
  | { readonly says: 'complete' }
  | { readonly says: 'refused'; readonly number: number; readonly reason: string }

/** A line that no program of ours sends. */
export class BadAnnouncementError extends Error {
  override name = 'BadAnnouncementError'
}

const MAX_LINE_CHARS = 16 * 1024
const MAX_ADDRESS_CHARS = 100
const MAX_REASON_CHARS = 300
/** The last time that a `Date` can be. */
const MAX_TIME_MS = 8.64e15
const TYPE = /^[A-Za-z0-9_-]{1,64}$/
const CONTROL = /\p{C}/u

export function formatReplica(number: number, facts: ReplicaFacts): string {
  const { key, id, path, remoteAddress, connectedAtMs, type, annotations, staleSinceMs } = facts
  const members = { n: number, key, id, path, address: remoteAddress, connected: connectedAtMs, type, annotations }
  return `${JSON.stringify({ ...members, stale: staleSinceMs })}\n`
}

export function formatGone(number: number): string {
  return `${JSON.stringify({ gone: number })}\n`
}

export function formatComplete(): string {
  return '{"complete":true}\n'
}

export function formatRefused(number: number, reason: string): string {
  return `${JSON.stringify({ refused: number, reason })}\n`
}

/** The lines of a message. */
export function linesOf(payload: Buffer): string[] {
  return payload
    .toString()
    .split('\n')
    .filter(line => line !== '')
}

/**
 * Reads a line of the other side, which may be hostile. Members that are not known are left out.
 * @throws {BadAnnouncementError}
 */
export function parseKeyLine(text: string): KeyLine {
  const members = parseObject(text)
  if (members.complete === true) return { says: 'complete' }
  if (members.gone !== undefined) return { says: 'gone', number: readNumber('gone', members.gone) }
  if (members.refused !== undefined) {
    const reason = typeof members.reason === 'string' ? members.reason.replaceAll(/\p{C}/gu, '') : 'without a reason'
    return {
      says: 'refused',
      number: readNumber('refused', members.refused),
      reason: reason.slice(0, MAX_REASON_CHARS)
    }
  }
  return { says: 'replica', number: readNumber('n', members.n), facts: readFacts(members) }
}

function readFacts(members: Readonly<Record<string, unknown>>): ReplicaFacts {
  const { key, id, path, address, type, annotations, stale } = members
  if (typeof key !== 'string' || !isClientKey(key)) throw faulty('key', key)
  if (typeof id !== 'string' || !isClientId(id)) throw faulty('id', id)
  if (typeof address !== 'string' || address.length > MAX_ADDRESS_CHARS || CONTROL.test(address)) {
    throw faulty('address', address)
  }
  if (type !== undefined && (typeof type !== 'string' || !TYPE.test(type))) throw faulty('type', type)
  return {
    key,
    id,
    path: readPath(path),
    remoteAddress: address,
    connectedAtMs: readTime('connected', members.connected),
    ...(type === undefined ? {} : { type }),
    ...(annotations === undefined ? {} : { annotations: readAnnotations(annotations) }),
    ...(stale === undefined ? {} : { staleSinceMs: readTime('stale', stale) })
  }
}

function readPath(value: unknown): string[] {
  if (!Array.isArray(value) || value.length >= MAX_STREAM_HOPS) throw faulty('path', value)
  return value.map((id: unknown) => {
    if (typeof id === 'string' && isNodeId(id)) return id
    throw faulty('path', value)
  })
}

function readAnnotations(value: unknown): Annotations {
  const annotations = parseAnnotations(value)
  if (annotations === undefined) throw faulty('annotations', value)
  return annotations
}

function readNumber(name: string, value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw faulty(name, value)
}

function readTime(name: string, value: unknown): number {
  const ms = readNumber(name, value)
  if (ms <= MAX_TIME_MS) return ms
  throw faulty(name, value)
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = text.length > MAX_LINE_CHARS ? undefined : JSON.parse(text)
  } catch {
    value = undefined
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw new BadAnnouncementError(`a line is no object, or has more than ${MAX_LINE_CHARS} characters`)
}

function faulty(name: string, value: unknown): BadAnnouncementError {
  const shown = JSON.stringify(value)?.replaceAll(/\p{C}/gu, '').slice(0, 80) ?? 'nothing'
  return new BadAnnouncementError(`${name} of a line is not in order: ${shown}`)
}
