import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import type { HopOutcome } from '../../../src/hops/hop.js'

type Unreachable = Extract<HopOutcome, { kind: 'unreachable' }>

export function assertUnreachable(outcome: HopOutcome, reason: RegExp, sent: boolean): Unreachable {
  assert.ok(outcome.kind === 'unreachable', outcome.kind)
  assert.match(outcome.reason, reason)
  assert.equal(outcome.sent, sent)
  return outcome
}

export function assertGot(outcome: HopOutcome, kind: 'answered' | 'refused', status: number): Readable {
  assert.ok(outcome.kind === kind, JSON.stringify(outcome))
  assert.equal(outcome.status, status)
  return outcome.body
}

/** The shortest request. */
export const GET = { method: 'GET', path: 'uuid', headers: {} } as const

/** `count` chunks of 64 KiB, made as they are read. */
export function chunks(count: number): Readable {
  const chunk = Buffer.alloc(64 * 1024, 'x')
  return Readable.from(
    (function* () {
      for (let index = 0; index < count; index += 1) yield chunk
    })(),
    { objectMode: false }
  )
}
