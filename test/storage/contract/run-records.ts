import type { NodeRecord } from '../../../src/remote-run/records/run-record.js'
import type { NewRun, RunRepository } from '../../../src/remote-run/records/run-repository.js'

/** An implementation to check, on a place of its own. */
export interface RunRepositoryFactory {
  /** The repository of a process. Opened again, without an end of the former: that process crashed. */
  open(): RunRepository
  /** The repository of one more process, which lives beside the last one that was opened. */
  openBeside(): RunRepository
}

export const LEASE_MS = 3_600_000

export const RUN: NewRun = {
  id: 'R1',
  askedBy: 'local 127.0.0.1',
  nodes: 'list',
  conditions: ['a', 'b'],
  keepOutput: true,
  asynchronous: false,
  startedAtMs: 1_000,
  waitUntilMs: 9_000
}

export function nodeOf(node: string, change: Partial<NodeRecord> = {}): NodeRecord {
  return {
    node,
    via: undefined,
    reached: undefined,
    outcome: 'queued',
    exitCode: undefined,
    startedAtMs: undefined,
    durationMs: undefined,
    message: undefined,
    unreached: undefined,
    ...change
  }
}

export function manyNodes(count: number): NodeRecord[] {
  return Array.from({ length: count }, (_, index) => nodeOf(`n${String(index).padStart(5, '0')}`))
}
