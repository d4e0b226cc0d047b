import { constants } from 'node:fs'
import { type FileHandle, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { holdSubfolder, makeSubfolder } from '../../storage/folders/make-subfolder.js'
import { errorCode, isMissing } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logging/logger.js'
import { parseRunEvent, type RunEvent } from '../../values/runs/run-event.js'
import { isRunId } from '../../values/runs/run-id.js'
import { EventLog, type LogEnd } from './event-log.js'
import { isNodeEnd, type NodeEndEvent } from './node-end.js'

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants
const SUFFIX = '.ndjson'

/** The failures of one file: it is another user's, damaged, or no file. Others are those of the disk or the process. */
const OF_ONE_FILE: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'EISDIR', 'ELOOP', 'EIO', 'ENXIO', 'EBADMSG'])

/** How much of a log's end is read after a crash. */
const TAIL_BYTES = 4 * 1024 * 1024

/** Ends of nodes given at once. */
const ENDS_PER_PAGE = 1_000

/** The begin of a line about a node, so that others need not be parsed. */
const NODE_LINE = /^\{"seq":\d+,"event":"node"/

/** The end of a log after a crash. */
export interface LogTail {
  /** The oldest first. */
  readonly events: readonly RunEvent[]
  /** Whether these are all events of the log. */
  readonly isWhole: boolean
}

/** The folder of the logs of runs, `<storage.path>/runs`. */
export class LogFiles {
  readonly #folder: string

  constructor(storagePath: string) {
    this.#folder = join(storagePath, 'runs')
  }

  path(runId: string): string {
    return join(this.#folder, `${runId}${SUFFIX}`)
  }

  async makeFolder(): Promise<void> {
    await makeSubfolder(this.#folder, 0o700)
  }

  /** Starts the log of a run; the folder may have been removed or exchanged since the start. */
  async createLog(runId: string, logger: Logger): Promise<EventLog> {
    const create = async () => {
      const folder = await holdSubfolder(this.#folder)
      try {
        return await EventLog.create(this.path(runId), runId, logger, folder.at(`${runId}${SUFFIX}`))
      } catch (error) {
        throw folder.named(error)
      } finally {
        await folder.close()
      }
    }
    return create().catch(async (error: unknown) => {
      if (!isMissing(error)) throw error
      await this.makeFolder()
      return await create()
    })
  }

  /** Removes what is there of a log. */
  async remove(runId: string): Promise<void> {
    await rm(this.#aside(runId), { recursive: true, force: true })
    await unlink(this.path(runId)).catch((error: unknown) => {
      if (!isMissing(error)) throw error
    })
  }

  /** Ids of logs that nobody has written to since `beforeMs`. */
  async *unchangedSince(beforeMs: number): AsyncGenerator<string> {
    for (const name of await readdir(this.#folder).catch(() => [])) {
      const runId = name.slice(0, -SUFFIX.length)
      if (!name.endsWith(SUFFIX) || !isRunId(runId)) continue
      const { mtimeMs } = await stat(this.path(runId)).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }))
      if (mtimeMs < beforeMs) yield runId
    }
  }

  /**
   * Takes a log that cannot be used out of the way.
   * @returns its new name; undefined where `error` says nothing of this file alone
   */
  async putAside(runId: string, error: unknown): Promise<string | undefined> {
    if (!OF_ONE_FILE.has(errorCode(error) ?? '')) return undefined
    const aside = this.#aside(runId)
    await rm(aside, { recursive: true, force: true })
    await rename(this.path(runId), aside)
    return aside
  }

  /** Cuts a torn last line off the log of a run that a crash broke off. @returns the end of what is left */
  async mend(runId: string): Promise<LogTail> {
    const file = await open(this.path(runId), O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600)
    try {
      return await mendTail(file)
    } finally {
      await file.close()
    }
  }

  /** Reads a whole log, and tells `note` its events. @returns its end */
  async summarize(runId: string, note: (event: RunEvent) => void): Promise<LogEnd> {
    let seq = 0
    for await (const line of this.#lines(runId)) {
      const event = parseRunEvent(line)
      if (event === undefined) continue
      seq = event.seq
      note(event)
    }
    return { seq, bytes: (await stat(this.path(runId))).size }
  }

  /** The events of a whole log that tell the end of a node, a page at a time. */
  async *nodeEnds(runId: string): AsyncGenerator<NodeEndEvent[]> {
    let page: NodeEndEvent[] = []
    for await (const line of this.#lines(runId)) {
      const event = NODE_LINE.test(line) ? parseRunEvent(line) : undefined
      if (event === undefined || !isNodeEnd(event)) continue
      page.push(event)
      if (page.length < ENDS_PER_PAGE) continue
      yield page
      page = []
    }
    yield page
  }

  #aside(runId: string): string {
    return `${this.path(runId)}.damaged~`
  }

  async *#lines(runId: string): AsyncGenerator<string> {
    const file = await open(this.path(runId), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    try {
      const input = file.createReadStream({ autoClose: false })
      yield* createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })
    } finally {
      await file.close()
    }
  }
}

/** Cuts off what follows the last whole event. */
async function mendTail(file: FileHandle): Promise<LogTail> {
  const { size } = await file.stat()
  const tailFrom = Math.max(0, size - TAIL_BYTES)
  const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(size - tailFrom), 0, size - tailFrom, tailFrom)
  const { events, wholeBytes } = readWhole(buffer.subarray(0, bytesRead), tailFrom > 0)
  if (tailFrom + wholeBytes < size) await file.truncate(tailFrom + wholeBytes)
  return { events, isWhole: tailFrom === 0 }
}

/** The events of `tail`, up to the first line that is none (a power cut can leave zeros). */
function readWhole(tail: Buffer, startsInLine: boolean): { events: RunEvent[]; wholeBytes: number } {
  const events: RunEvent[] = []
  let start = startsInLine ? tail.indexOf('\n') + 1 : 0
  for (let end = tail.indexOf('\n', start); end !== -1; end = tail.indexOf('\n', start)) {
    const event = parseRunEvent(tail.toString('utf8', start, end))
    if (event === undefined) break
    events.push(event)
    start = end + 1
  }
  return { events, wholeBytes: start }
}
