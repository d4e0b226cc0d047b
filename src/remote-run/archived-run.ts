import { statSync } from 'node:fs'
import type { LogSource } from './event-log/event-log.js'
import { followRun, type LocatedEvent, rereadLog } from './event-log/event-reader.js'
import type { NodeRecord, RunRecord } from './records/run-record.js'
import type { EventCursor, Run, RunEvent } from './run-types.js'

/** A closed log never falls silent. */
const NO_SILENCE_MS = 2 ** 30

/** A run of which only the record and the log are left. */
export class ArchivedRun implements Run {
  readonly id: string
  readonly order: Run['order']
  readonly anyStarted = Promise.resolve(true)
  readonly ended = Promise.resolve()

  /**
   * @param path of its log, which may be gone
   * @param nodes its nodes as they are recorded
   */
  constructor(
    private readonly record: Pick<RunRecord, 'id' | 'keepOutput' | 'asynchronous' | 'state'>,
    private readonly path: string,
    private readonly nodes: () => AsyncIterable<NodeRecord>
  ) {
    this.id = record.id
    this.order = { keepOutput: record.keepOutput, asynchronous: record.asynchronous }
  }

  async *events(after: number, signal: AbortSignal): AsyncGenerator<RunEvent> {
    for await (const { event } of this.located(after, signal)) yield event
  }

  located(after: number, signal: AbortSignal): AsyncGenerator<LocatedEvent> {
    const { state } = this.record
    const outcome = state === 'running' ? 'interrupted' : state
    return followRun(
      closedLog(this.path, this.id),
      { after, signal, aliveMs: NO_SILENCE_MS },
      {
        outcome: () => outcome,
        nodes: this.nodes
      }
    )
  }

  reread(cursors: Iterable<EventCursor>): AsyncGenerator<RunEvent> {
    return rereadLog(this.path, cursors)
  }

  cancel(): Promise<void> {
    return Promise.resolve()
  }
}

function closedLog(path: string, runId: string): LogSource {
  const writtenBytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  return {
    path,
    runId,
    writtenBytes,
    closed: true,
    unwritten: [],
    tail: () => undefined,
    onChange: () => () => undefined
  }
}
