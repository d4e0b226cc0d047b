import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { isMissing } from '../../values/failures/system-error.js'
import type { NodeRecord, RunState } from '../records/run-record.js'
import type { EventCursor, RunEvent } from '../run-types.js'
import type { LogSource } from './event-log.js'
import { endOf, hasEnded, isNodeEnd } from './node-end.js'

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants

/** An event and its cursor. */
export interface LocatedEvent {
  readonly event: RunEvent
  readonly cursor: EventCursor
}

export interface FollowOptions {
  /** Number of the last event that is not wanted; 0 for all. */
  readonly after: number
  readonly signal: AbortSignal
  readonly aliveMs: number
}

/** A cursor of these logs: the line of an event in the file. */
class LineCursor implements EventCursor {
  constructor(
    readonly offset: number,
    readonly lengthBytes: number
  ) {}

  get kind() {
    return 'event cursor' as const
  }
}

/** Stands for an event that is in no log. */
const NO_LINE = new LineCursor(0, 0)

const CHUNK_BYTES = 64 * 1024
const LINE_FEED = 0x0a
/** Every line starts with it, so that lines can be skipped without being parsed. */
const SEQ_PREFIX = '{"seq":'
const LONGEST_SEQ = 16

/**
 * Follows a log: events after `after`, from disk and then as they come, until the log is closed. One that stays silent
 * for `aliveMs` gives an `alive` event, which is in no log and bears the number of the last event before it.
 * @throws the reason of `signal` when it aborts; ENOENT when the log has been purged
 */
async function* followLog(source: LogSource, { after, signal, aliveMs }: FollowOptions): AsyncGenerator<LocatedEvent> {
  const reader = new LogReader(source)
  try {
    let rest: Buffer = Buffer.alloc(0)
    let readFrom = 0
    let lastSeq = after
    for (;;) {
      signal.throwIfAborted()
      const closed = source.closed // asked before the length: what was written before the end is still read
      if (source.writtenBytes <= readFrom) {
        if (closed) {
          yield* unwrittenOf(source, lastSeq)
          return
        }
        if ((await change(source, aliveMs, signal)) === 'silence') yield alive(source.runId, lastSeq)
        continue
      }
      const read = await reader.readFrom(readFrom)
      if (read.length === 0) return // it was cut behind our back
      const bytes = rest.length === 0 ? read : Buffer.concat([rest, read])
      let lineOffset = readFrom - rest.length
      let start = 0
      for (let end = bytes.indexOf(LINE_FEED); end !== -1; end = bytes.indexOf(LINE_FEED, start)) {
        const lengthBytes = end + 1 - start
        if (seqOf(bytes, start) > after) {
          const event = JSON.parse(bytes.toString('utf8', start, end)) as RunEvent
          lastSeq = event.seq
          yield { event, cursor: new LineCursor(lineOffset, lengthBytes) }
          signal.throwIfAborted()
        }
        lineOffset += lengthBytes
        start = end + 1
      }
      rest = Buffer.from(bytes.subarray(start))
      readFrom += read.length
    }
  } finally {
    await reader.close()
  }
}

function* unwrittenOf(source: LogSource, after: number): Generator<LocatedEvent> {
  for (const line of source.unwritten) {
    const event = JSON.parse(line) as RunEvent
    if (event.seq > after) yield { event, cursor: NO_LINE }
  }
}

/** The bytes of a log, from memory where they are there, and from the file otherwise. */
class LogReader {
  #file: FileHandle | undefined
  #chunk: Buffer | undefined

  constructor(private readonly source: LogSource) {}

  /** @returns some of what was written from `offset` on, valid until the next call; nothing where the file has less */
  async readFrom(offset: number): Promise<Buffer> {
    const tail = this.source.tail(offset)
    if (tail !== undefined) return tail
    this.#file ??= await open(this.source.path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    this.#chunk ??= Buffer.allocUnsafe(CHUNK_BYTES)
    const length = Math.min(CHUNK_BYTES, this.source.writtenBytes - offset)
    const { bytesRead } = await this.#file.read(this.#chunk, 0, length, offset)
    return this.#chunk.subarray(0, bytesRead)
  }

  async close(): Promise<void> {
    await this.#file?.close()
  }
}

/** A run as its record has it, for what its log lacks. */
export interface RecordedRun {
  /** The end of the run, asked for once the log is closed. @throws {RelayError} when it is for another process to tell */
  outcome(): Exclude<RunState, 'running'>
  nodes(): AsyncIterable<NodeRecord> | Iterable<NodeRecord>
}

/**
 * Follows a log as {@link followLog} does, and always gives an `end`: where the log has none (a full disk, a purge, a
 * kill between the record and the log), what the log does not tell is made of what the record says.
 */
export async function* followRun(
  source: LogSource,
  options: FollowOptions,
  recorded: RecordedRun
): AsyncGenerator<LocatedEvent> {
  let lastSeq = options.after
  try {
    for await (const located of followLog(source, options)) {
      yield located
      if (located.event.event === 'end') return
      lastSeq = located.event.seq
    }
  } catch (error) {
    if (!isMissing(error)) throw error
  }
  const outcome = recorded.outcome()
  const run = source.runId
  const told = await nodesToldBy(source, options)
  for await (const node of recorded.nodes()) {
    if (told.has(node.node) || !hasEnded(node)) continue
    options.signal.throwIfAborted()
    lastSeq += 1
    yield { event: { seq: lastSeq, event: 'node', run, ...endOf(node) }, cursor: NO_LINE }
  }
  yield { event: { seq: lastSeq + 1, event: 'end', run, outcome }, cursor: NO_LINE }
}

/** The nodes whose outcome a closed log tells. */
async function nodesToldBy(source: LogSource, options: FollowOptions): Promise<ReadonlySet<string>> {
  const told = new Set<string>()
  try {
    for await (const { event } of followLog(source, { ...options, after: 0 })) {
      if (isNodeEnd(event)) told.add(event.node)
    }
  } catch (error) {
    if (!isMissing(error)) throw error
  }
  return told
}

/** Reads lines that {@link followLog} gave again. */
export async function* rereadLog(path: string, cursors: Iterable<EventCursor>): AsyncGenerator<RunEvent> {
  const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    for (const cursor of cursors) {
      if (!(cursor instanceof LineCursor)) throw new TypeError('this cursor belongs to another kind of log')
      const { offset, lengthBytes } = cursor
      const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(lengthBytes), 0, lengthBytes, offset)
      if (bytesRead < lengthBytes) return
      yield JSON.parse(buffer.toString('utf8')) as RunEvent
    }
  } finally {
    await file.close()
  }
}

function seqOf(bytes: Buffer, lineStart: number): number {
  const from = lineStart + SEQ_PREFIX.length
  return Number.parseInt(bytes.toString('latin1', from, from + LONGEST_SEQ), 10)
}

function alive(run: string, seq: number): LocatedEvent {
  return { event: { seq, event: 'alive', run }, cursor: NO_LINE }
}

/** Waits for the log to change, at most `limitMs`. */
function change(source: LogSource, limitMs: number, signal: AbortSignal): Promise<'change' | 'silence'> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void) => {
      clearTimeout(timer)
      off()
      signal.removeEventListener('abort', onAbort)
      end()
    }
    const onAbort = () => settle(() => reject(signal.reason))
    const timer = setTimeout(() => settle(() => resolve('silence')), limitMs)
    const off = source.onChange(() => settle(() => resolve('change')))
    signal.addEventListener('abort', onAbort)
  })
}
