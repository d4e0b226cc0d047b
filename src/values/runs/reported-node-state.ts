import { isIsoTime } from '../time/iso-time.js'

/** The state that an agent reports when the way to it is traced. Times are in ISO 8601. */
export interface NodeState {
  readonly started_at: string
  readonly runs_running: number
  /** The runs that wait behind those that run, by `agent.concurrency`. */
  readonly runs_waiting: number
  /** Files that cannot be received or shared now, and why; {@link MAX_FILE_PROBLEMS} at most. */
  readonly file_problems: readonly string[]
  readonly certificate_ends_at?: string
  /** `<oldest>-<newest>`: the versions of the protocol that it speaks. */
  readonly protocol: string
}

export const MAX_FILE_PROBLEMS = 10
const MAX_TEXT = 500

/** @returns undefined for anything else: what comes from a node is not believed to be well-formed */
export function parseNodeState(value: unknown): NodeState | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const given: Partial<Record<keyof NodeState, unknown>> = value
  const { started_at, runs_running, runs_waiting, file_problems, certificate_ends_at, protocol } = given
  if (!isIsoTime(started_at) || !isCount(runs_running) || !isCount(runs_waiting)) return undefined
  if (!Array.isArray(file_problems) || file_problems.length > MAX_FILE_PROBLEMS) return undefined
  if (!file_problems.every(isText) || !isText(protocol)) return undefined
  if (certificate_ends_at !== undefined && !isIsoTime(certificate_ends_at)) return undefined
  return {
    started_at,
    runs_running,
    runs_waiting,
    file_problems,
    ...(certificate_ends_at === undefined ? {} : { certificate_ends_at }),
    protocol
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT
}
