import type { Readable } from 'node:stream'
import type { Hop, HopHeaders, Neighbours } from '../hops/hop.js'
import { explanation } from '../hops/hop-response.js'
import { HopSlots, type SlotWork } from '../hops/hop-slots.js'
import { readPrefix } from '../hops/read-prefix.js'
import type { Origin } from '../network/caller.js'
import { PASSED_HEADER, RELAY_HEADER, REQUEST_ID_HEADER } from '../network/header-names.js'
import type { CurrentTopology } from '../tree/topology.js'
import { formatPassed, passOn } from '../values/passed-relays.js'
import { type NodeState, parseNodeState } from '../values/runs/reported-node-state.js'
import { parseJson } from '../values/text/json.js'

/** How long each relay waits for the rest of the way, in ms. */
const LIMIT_MS = 10_000
/** How long a trace may hold its slot: for the beginning of the answer, and for the rest. */
const LONGEST_MS = 2 * LIMIT_MS
/** Traces under way to one hop. */
export const MAX_TRACES_PER_HOP = 24
const NOT_FOUND = 404
/** 41 hops of a few hundred bytes. */
const MAX_ANSWER_BYTES = 64 * 1024

/** A step of the path to a node. */
export interface TraceHop {
  readonly from: string
  /** `policy-server` where the one above is meant, whose id a relay is not told. */
  readonly to: string
  /** `command`: the relay starts a command for it, which is not done for a trace. */
  readonly way: 'link' | 'direct' | 'command'
  readonly round_trip_ms?: number
  /** Shared files that wait for this hop. */
  readonly waiting_files: number
  /** The version of the program at the other end. */
  readonly version?: string
  /** `<oldest>-<newest>`: the versions of the protocol that the other end speaks. */
  readonly protocol?: string
}

export interface Trace {
  readonly target: string
  readonly hops: readonly TraceHop[]
  /** How far it got: the last one that answers. */
  readonly reached: string
  /** The problem behind `reached`; undefined when the node was reached. */
  readonly problem?: string
  /** The time that the trace took at the relay that answers, so that the one before can tell its own round trip. */
  readonly took_ms: number
  /** The protocol that the relay that answers speaks, as in {@link TraceHop}. */
  readonly protocol?: string
  /** The node's own state, where it was reached over its link. */
  readonly node?: NodeState
}

export interface TracerOptions {
  readonly selfId: string
  readonly topology: CurrentTopology
  readonly neighbours: Neighbours
  /** Whether this relay starts a command for nodes that hold no link (`remote_run.fallback_command`). */
  readonly hasCommand: boolean
  /** Shared files waiting for targets that `matches`. */
  readonly waitingFiles: (matches: (target: string) => boolean) => Promise<number>
}

/** Follows the way to a node, hop by hop: every relay on it adds its own step. */
export function createTracer({ selfId, topology, neighbours, hasCommand, waitingFiles }: TracerOptions) {
  const slots = new HopSlots(MAX_TRACES_PER_HOP)

  function waitingFor(kind: 'up' | 'down', hopId: string): Promise<number> {
    return waitingFiles(target => {
      const route = topology().route(target)
      return route.kind === kind && (route.kind !== 'down' || route.hop === hopId)
    })
  }

  async function follow(
    hop: Hop,
    kind: 'up' | 'down',
    target: string,
    passed: string[],
    origin: Origin
  ): Promise<Trace> {
    const startedAt = performance.now()
    const way = neighbours.linked(hop.id) === undefined ? 'direct' : 'link'
    const step = { from: selfId, to: hop.id, way, waiting_files: await waitingFor(kind, hop.id) } as const
    const outcome = await ask(slots, hop, target, passed, origin)
    const took_ms = milliseconds(startedAt)
    if (outcome.kind === 'unreachable')
      return { target, hops: [step], reached: selfId, problem: outcome.reason, took_ms }
    const rest = readTrace(outcome.value)
    const { protocol } = rest ?? {}
    const answered = { ...step, ...versionOf(outcome), ...(protocol === undefined ? {} : { protocol }) }
    if (rest === undefined) {
      const problem = problemOf(hop.id, outcome)
      return { target, hops: [{ ...answered, round_trip_ms: took_ms }], reached: hop.id, problem, took_ms }
    }
    const first = { ...answered, round_trip_ms: Math.max(0, round(took_ms - rest.took_ms)) }
    return { ...rest, target, hops: [first, ...rest.hops], took_ms }
  }

  async function here(target: string, passed: string[], origin: Origin): Promise<Trace> {
    if (topology().isRelay(target)) return follow(neighbours.down(target), 'down', target, passed, origin)
    const startedAt = performance.now()
    const link = neighbours.linked(target)
    const step = { from: selfId, to: target, waiting_files: 0 }
    if (link === undefined && !hasCommand) {
      const problem = `${target} holds no link now, and remote_run.fallback_command is false: a run that does not wait cannot reach it`
      return { target, hops: [{ ...step, way: 'link' }], reached: selfId, problem, took_ms: 0 }
    }
    if (link === undefined) {
      const trace = { target, hops: [{ ...step, way: 'command' }], reached: selfId, took_ms: 0 } as const
      if (neighbours.shouldHoldLink?.(target) !== true) return trace
      const problem = `${target} holds no link now: a run that does not wait is given to the command`
      return { ...trace, problem }
    }
    const outcome = await ask(slots, link, target, [selfId], origin)
    const took_ms = milliseconds(startedAt)
    if (outcome.kind === 'unreachable') {
      return { target, hops: [{ ...step, way: 'link' }], reached: selfId, problem: outcome.reason, took_ms }
    }
    const node = parseNodeState(outcome.value)
    const last = { ...step, way: 'link', round_trip_ms: took_ms, ...versionOf(outcome) } as const
    if (node === undefined) return { target, hops: [last], reached: target, took_ms }
    return { target, hops: [{ ...last, protocol: node.protocol }], reached: target, took_ms, node }
  }

  return async (target: string, origin: Origin): Promise<Trace> => {
    if (target === selfId) return { target, hops: [], reached: selfId, took_ms: 0 }
    const passed = passOn(origin.passed, selfId)
    const route = topology().route(target)
    switch (route.kind) {
      case 'here':
        return here(target, passed, origin)
      case 'down':
        return follow(neighbours.down(route.hop), 'down', target, passed, origin)
      case 'up':
        if (origin.caller.kind === 'policy-server') {
          const problem = `${selfId} does not have ${target} below it, but its policy server sent this here: their nodes lists differ`
          return { target, hops: [], reached: selfId, problem, took_ms: 0 }
        }
        return follow(neighbours.up(), 'up', target, passed, origin)
      case 'unknown':
        return { target, hops: [], reached: selfId, problem: `no node ${target} is in the tree`, took_ms: 0 }
    }
  }
}

export type Tracer = ReturnType<typeof createTracer>

/** Says why a hop's answer is no trace. An existing relay does not know the path; other refusals have words of their own. */
function problemOf(hopId: string, { status, refusal }: { readonly status: number; readonly refusal?: string }): string {
  if (refusal !== undefined && status !== NOT_FOUND) return `${hopId} answers ${status}${refusal}`
  return `${hopId} answers ${status}, but knows no traces: an existing relay, or an older Treeline`
}

/** A hop's answer, read to its end. */
type Answer =
  | { readonly kind: 'unreachable'; readonly reason: string }
  | {
      readonly kind: 'answered'
      readonly status: number
      readonly headers: HopHeaders
      readonly value: unknown
      readonly refusal?: string
    }

/** Asks a hop, as far as it has a slot for this caller. */
async function ask(
  slots: HopSlots,
  hop: Hop,
  target: string,
  passed: readonly string[],
  origin: Origin
): Promise<Answer> {
  const asked = await slots.during(hop.id, origin, LONGEST_MS, async (signal): Promise<Answer> => {
    const outcome = await hop.request({
      method: 'GET',
      path: `trace/${target}`,
      headers: { [PASSED_HEADER]: formatPassed(passed), [REQUEST_ID_HEADER]: origin.requestId },
      silenceLimitMs: LIMIT_MS,
      signal
    })
    if (outcome.kind === 'unreachable') return outcome
    const { status, headers } = outcome
    if (outcome.kind === 'refused') {
      return { kind: 'answered', status, headers, value: undefined, refusal: await explanation(outcome.body) }
    }
    return { kind: 'answered', status, headers, value: await readJson(outcome) }
  })
  if (asked.kind === 'done') return asked.value
  return { kind: 'unreachable', reason: `${hop.id}: ${WHY_UNASKED[asked.kind]}` }
}

const WHY_UNASKED: Readonly<Record<Exclude<SlotWork<unknown>['kind'], 'done'>, string>> = {
  'no-slot': 'many traces are on their way there already; try again in a moment',
  evicted: 'another caller needed the slot of this trace before it was answered; try again in a moment',
  late: `its answer did not end within ${LONGEST_MS / 1_000} s`
}

/** @returns undefined for anything that is no trace. Statements of a relay below are shown, not believed */
function readTrace(value: unknown): Trace | undefined {
  if (!isTrace(value)) return undefined
  const { node, ...rest } = value
  const state = parseNodeState(node)
  return state === undefined ? rest : { ...rest, node: state }
}

/** @returns undefined for an answer that is none, or no JSON */
async function readJson({ body, status }: { readonly body: Readable; readonly status: number }): Promise<unknown> {
  const bytes = await readPrefix(body, MAX_ANSWER_BYTES, LIMIT_MS)
  if (status !== 200) return undefined
  return parseJson(bytes.toString('utf8'))
}

function isTrace(value: unknown): value is Trace {
  if (typeof value !== 'object' || value === null) return false
  const { target, hops, reached, problem, took_ms, protocol }: Partial<Record<keyof Trace, unknown>> = value
  return (
    typeof target === 'string' &&
    typeof reached === 'string' &&
    typeof took_ms === 'number' &&
    (problem === undefined || typeof problem === 'string') &&
    (protocol === undefined || typeof protocol === 'string') &&
    Array.isArray(hops) &&
    hops.every(isHop)
  )
}

function isHop(value: unknown): value is TraceHop {
  if (typeof value !== 'object' || value === null) return false
  const { from, to, way, waiting_files, round_trip_ms, version, protocol }: Partial<Record<keyof TraceHop, unknown>> =
    value
  return (
    typeof from === 'string' &&
    typeof to === 'string' &&
    (way === 'link' || way === 'direct' || way === 'command') &&
    typeof waiting_files === 'number' &&
    (round_trip_ms === undefined || typeof round_trip_ms === 'number') &&
    (version === undefined || typeof version === 'string') &&
    (protocol === undefined || typeof protocol === 'string')
  )
}

function versionOf({ headers }: { readonly headers: Readonly<Record<string, string>> }): { readonly version?: string } {
  const version = headers[RELAY_HEADER]
  return version === undefined ? {} : { version }
}

function milliseconds(startedAt: number): number {
  return round(performance.now() - startedAt)
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10
}
