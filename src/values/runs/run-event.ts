import { membersOf, parseJson } from '../text/json.js'

/**
 * The outcomes of one node in a run (design, "Nothing lost"). `unknown`: behind a relay that only speaks text, or
 * that never said.
 */
export const NODE_OUTCOMES = [
  'queued',
  'running',
  'done',
  'unreachable',
  'timed_out',
  'cancelled',
  'refused',
  'expired',
  'interrupted',
  'unknown'
] as const
export type NodeOutcome = (typeof NODE_OUTCOMES)[number]

/** The outcome as it is counted: `failed` where the node is done and was no success. */
export type CountedOutcome = NodeOutcome | 'failed'

/** The one rule for records, metrics and the command line: only exit code 0 is a success, and none at all is no 0. */
export function countedOutcome(outcome: NodeOutcome, exitCode: number | null | undefined): CountedOutcome {
  return outcome === 'done' && exitCode !== 0 ? 'failed' : outcome
}

/** The place and reason at which the way to a node ended: what a trace would tell. */
export interface BrokenHop {
  /** The last one that was reached. */
  readonly from: string
  readonly to: string
  readonly reason: string
}

const EVENTS = ['start', 'output', 'node', 'error', 'alive', 'end'] as const
const STREAMS = ['stdout', 'stderr'] as const

/** A line of a run's NDJSON stream. Members that do not apply are left out. */
export interface RunEvent {
  /** 1, 2, 3, … within this relay's record of the run; far higher ones after a restart of the relay. */
  readonly seq: number
  readonly event: (typeof EVENTS)[number]
  readonly run: string
  readonly node?: string
  /** The relay at which it happened. */
  readonly relay?: string
  readonly stream?: (typeof STREAMS)[number]
  /** Whole lines, each with its line feed (but perhaps the very last one of a node). */
  readonly data?: string
  /** The outcome of a node in `node` events; of the run (`done`, `cancelled`, `interrupted`) in `end`. */
  readonly outcome?: NodeOutcome
  readonly exit_code?: number
  readonly duration_ms?: number
  readonly message?: string
  /** The number of nodes that the run is for, in `start` events. Left out by relays that do not know it. */
  readonly node_count?: number
  /** The broken hop, in `node` events of nodes that were not reached. Left out by relays that do not know it. */
  readonly unreached?: BrokenHop
}

/**
 * Reads one line of an NDJSON stream. Members that are unknown or of the wrong type are left out.
 * @returns undefined when the line is not an event: no JSON object, or without `event`, `run` or a whole `seq`
 */
export function parseRunEvent(line: string): RunEvent | undefined {
  const members = membersOf(parseJson(line))
  if (members === undefined) return undefined
  const event = oneOf(EVENTS, members.event)
  const { seq, run } = members
  if (event === undefined || typeof run !== 'string' || typeof seq !== 'number' || !Number.isSafeInteger(seq)) {
    return undefined
  }
  return {
    seq,
    event,
    run,
    ...defined('node', text(members.node)),
    ...defined('relay', text(members.relay)),
    ...defined('stream', oneOf(STREAMS, members.stream)),
    ...defined('data', text(members.data)),
    ...defined('outcome', oneOf(NODE_OUTCOMES, members.outcome)),
    ...defined('exit_code', wholeNumber(members.exit_code)),
    ...defined('duration_ms', wholeNumber(members.duration_ms)),
    ...defined('message', text(members.message)),
    ...defined('node_count', wholeNumber(members.node_count)),
    ...defined('unreached', brokenHop(members.unreached))
  }
}

function brokenHop(value: unknown): BrokenHop | undefined {
  const { from, to, reason } = membersOf(value) ?? {}
  if (typeof from !== 'string' || typeof to !== 'string' || typeof reason !== 'string') return undefined
  return { from, to, reason }
}

function defined<K extends string, V>(name: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : ({ [name]: value } as Record<K, V>)
}

function oneOf<T extends string>(allowed: readonly T[], value: unknown): T | undefined {
  return allowed.find(name => name === value)
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function wholeNumber(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined
}
