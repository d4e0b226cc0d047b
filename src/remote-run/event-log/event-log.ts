import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { noteOrder } from '../../process/pacing/bulk-pacing.js'
import type { Logger } from '../../values/logging/logger.js'
import type { RunEvent } from '../run-types.js'
import { UnwrittenLines } from './unwritten-lines.js'

const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDWR, O_TRUNC, O_WRONLY } = constants

/** An event that is to be appended: the log adds number and run. */
export type NewEvent = Omit<RunEvent, 'seq' | 'run'>

/** Bytes waiting for the disk beyond which writers are asked to wait. */
const HIGH_WATER_BYTES = 1024 * 1024

/** The least time between two writes: what comes meanwhile is gathered, and a busy run writes a tenth as often. */
const REST_MS = 5

/** The time before a failed write is tried again; doubles up to the longest one. */
const REST_AFTER_FAILURE_MS = 250
const LONGEST_REST_MS = 4_000

/** The end of a log that is kept in memory: whoever follows a run of a few nodes never waits for the disk. */
const MAX_TAIL_BYTES = 16 * 1024

/** How far a log goes. */
export interface LogEnd {
  /** Number of its last event, 0 where there is none. */
  readonly seq: number
  readonly bytes: number
}

/** The state of a log that may still grow, for its readers. */
export interface LogSource {
  readonly path: string
  readonly runId: string
  /** How much is in the file, in whole lines. */
  readonly writtenBytes: number
  /** Whether nothing will follow. */
  readonly closed: boolean
  /** The last events of a log, where the disk has not taken them: lines as in the file. */
  readonly unwritten: readonly string[]
  /** The bytes of the file from `offset` to its end, where they are in memory still. */
  tail(offset: number): Buffer | undefined
  /** Calls `listener` whenever one of the above has changed. @returns what takes it off again */
  onChange(listener: () => void): () => void
}

/**
 * The events of one run, on disk: one JSON object a line, only ever appended to. Live readers follow the file, so a
 * slow one costs no memory; the newest events are kept for those that are not slow. Writes are gathered while one is under way.
 */
export class EventLog implements LogSource {
  #queue: string[] = []
  #queuedChars = 0
  /** The lines that failed writes have left: written before anything else, so that the order stays. */
  readonly #unwritten = new UnwrittenLines()
  /** Whether a write failed, and what it left is to be tried again first. */
  #isFailing = false
  /** Whether the failure has been logged. */
  #isLogged = false
  #restAfterFailureMs = REST_AFTER_FAILURE_MS
  #retry: NodeJS.Timeout | undefined
  #seq = 0
  #writtenBytes = 0
  #tail: Buffer = Buffer.alloc(0)
  #closed = false
  #restUntilMs = 0
  #writing: Promise<void> | undefined
  readonly #listeners = new Set<() => void>()
  readonly #file: FileHandle

  private constructor(
    readonly path: string,
    readonly runId: string,
    file: FileHandle,
    private readonly logger: Logger
  ) {
    this.#file = file
  }

  /**
   * Makes the file, for the relay's own user alone. A file that a crash left under that name is overwritten.
   * @param held its path by way of a folder that is held open
   */
  static async create(path: string, runId: string, logger: Logger, held = path): Promise<EventLog> {
    return new EventLog(
      path,
      runId,
      await open(held, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK, 0o600),
      logger
    )
  }

  /**
   * Continues the log of a run that a former process began: `end` is the number and the end of its last event. A crash of the
   * machine may have cut off later ones, whose numbers readers know: the log goes on behind all of these.
   */
  static async reopen(path: string, runId: string, logger: Logger, end: LogEnd): Promise<EventLog> {
    const log = new EventLog(path, runId, await open(path, O_RDWR | O_NOFOLLOW), logger)
    log.#seq = seqBehind(end.seq)
    log.#writtenBytes = end.bytes
    return log
  }

  get writtenBytes(): number {
    return this.#writtenBytes
  }

  get closed(): boolean {
    return this.#closed
  }

  get unwritten(): readonly string[] {
    return this.#unwritten.lines
  }

  tail(offset: number): Buffer | undefined {
    const from = offset - (this.#writtenBytes - this.#tail.length)
    return from < 0 ? undefined : this.#tail.subarray(from)
  }

  /** Whether more waits for the disk than should; then await {@link drained} before giving more. */
  get isFull(): boolean {
    return this.#queuedChars > HIGH_WATER_BYTES
  }

  append(event: NewEvent): void {
    noteOrder()
    this.#seq += 1
    if (this.#unwritten.isCut) return
    const { event: kind, ...rest } = event
    const line = `${JSON.stringify({ seq: this.#seq, event: kind, run: this.runId, ...rest })}\n`
    if (this.#isFailing) {
      this.#unwritten.add([line])
      return
    }
    this.#queue.push(line)
    this.#queuedChars += line.length
    this.#writing ??= this.#writeAll()
  }

  /** Resolves when everything appended so far has been written, or the disk has refused it. */
  async drained(): Promise<void> {
    await this.#writing
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Writes what is left, and to the disk itself. */
  async close(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
    clearTimeout(this.#retry)
    await this.#writeUnwritten()
    try {
      await this.#file.sync().finally(() => this.#file.close())
    } catch (err) {
      this.logger.error({ err, path: this.path }, 'cannot fsync the log of a run')
    }
    this.#closed = true
    this.#tell()
  }

  async #writeAll(): Promise<void> {
    const restMs = this.#restUntilMs - performance.now()
    if (restMs > 0) await new Promise(resolve => setTimeout(resolve, restMs))
    else await nextTurn() // what this turn still appends goes along
    await this.#writeUnwritten()
    while (this.#queue.length > 0 && !this.#isFailing) {
      const lines = this.#queue
      this.#queue = []
      this.#queuedChars = 0
      if (!(await this.#write(lines))) this.#unwritten.add(lines)
      this.#tell()
    }
    this.#restUntilMs = performance.now() + REST_MS
    this.#writing = undefined
    if (this.#isFailing) this.#writeLater()
    else if (this.#queue.length > 0) this.#writing = this.#writeAll()
  }

  /** A log to which nothing is appended for days is written as well, once there is room. */
  #writeLater(): void {
    this.#unwritten.add(this.#queue)
    this.#queue = []
    this.#queuedChars = 0
    this.#retry = setTimeout(() => {
      this.#writing ??= this.#writeAll()
    }, this.#restAfterFailureMs).unref()
    this.#restAfterFailureMs = Math.min(2 * this.#restAfterFailureMs, LONGEST_REST_MS)
  }

  /** Writes what failed writes have left, until the disk refuses again. */
  async #writeUnwritten(): Promise<void> {
    while (this.#isFailing) {
      const lines = this.#unwritten.first()
      if (!(await this.#write(lines))) return
      this.#unwritten.removeFirst(lines.length)
      this.#tell()
      this.#isFailing = this.#unwritten.lines.length > 0
    }
  }

  /** A full disk costs output, never the run, nor what became of its nodes. @returns whether it was written */
  async #write(lines: readonly string[]): Promise<boolean> {
    const bytes = Buffer.from(lines.join(''))
    let done = 0
    try {
      while (done < bytes.length) {
        const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done, this.#writtenBytes + done)
        done += bytesWritten
      }
      this.#writtenBytes += done
      this.#tail = lastOf(this.#tail, bytes)
      if (done > 0) {
        this.#isLogged = false
        this.#restAfterFailureMs = REST_AFTER_FAILURE_MS
      }
      return true
    } catch (err) {
      if (!this.#isLogged) this.logger.error({ err, path: this.path }, 'lost output of a run: cannot write its log')
      await this.#cutOff()
      this.#isFailing = true
      this.#isLogged = true
      return false
    }
  }

  /** Cuts off what a failed write has left of an event. */
  async #cutOff(): Promise<void> {
    await this.#file.truncate(this.#writtenBytes).catch((fault: unknown) => {
      if (this.#isLogged) return
      // readers stop before it, the next write covers it, and after a crash `LogFiles.mend` cuts it off
      this.logger.warn(
        { err: fault, path: this.path },
        'cannot cut an incomplete event off the log of a run; the next event overwrites it'
      )
    })
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}

/**
 * A number behind all that a log can have reached by now: no run has an event in each microsecond since 1970. Where the clock was
 * set back, it is behind what the log has left by more than a crash cuts off.
 */
function seqBehind(lastSeq: number): number {
  return Math.max(lastSeq + 2 ** 32, Date.now() * 1_000)
}

/** Whole batches only, so that nothing is copied twice. */
function lastOf(tail: Buffer, written: Buffer): Buffer {
  if (tail.length + written.length <= MAX_TAIL_BYTES) return Buffer.concat([tail, written])
  return written.length <= MAX_TAIL_BYTES ? written : Buffer.alloc(0)
}
