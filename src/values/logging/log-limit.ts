import type { Logger } from './logger.js'

/** Lines of one message within a window: from one source, and from all. */
const LINES_OF_SOURCE = 30
const LINES_IN_ALL = 200
const WINDOW_MS = 60_000
/** Sources that are told apart; the others share one count. */
const MAX_SOURCES = 1_000

type Level = 'info' | 'warn' | 'error'

interface Count {
  written: number
  heldBack: number
  level: Level
  readonly bySource: Map<string, number>
  readonly heldBackSources: Set<string>
}

export interface LogLimitOptions {
  /** Calls back once the window is over. @default a timer that keeps no process alive */
  readonly afterWindow?: (end: () => void) => void
  /** Lines about all sources within a window: more than usual where the sources are neighbours, which are not endless. */
  readonly linesInAll?: number
  /** Sources that are told apart. */
  readonly maxSources?: number
}

/**
 * Lines that callers can cause at will: the first ones of a minute are written, and what came beyond is summed up in
 * one line at its end. So nobody fills the log's disk, and no source drowns the lines about another.
 */
export class LogLimit {
  readonly #counts = new Map<string, Count>()
  readonly #afterWindow: (end: () => void) => void
  readonly #linesInAll: number
  readonly #maxSources: number

  constructor(
    private readonly logger: Pick<Logger, Level>,
    {
      afterWindow = end => void setTimeout(end, WINDOW_MS).unref(),
      linesInAll = LINES_IN_ALL,
      maxSources = MAX_SOURCES
    }: LogLimitOptions = {}
  ) {
    this.#afterWindow = afterWindow
    this.#linesInAll = linesInAll
    this.#maxSources = maxSources
  }

  /** @param source whom the line is about, such as a node or an address */
  info(source: string, details: object, message: string): void {
    this.#line('info', source, details, message)
  }

  warn(source: string, details: object, message: string): void {
    this.#line('warn', source, details, message)
  }

  error(source: string, details: object, message: string): void {
    this.#line('error', source, details, message)
  }

  #line(level: Level, source: string, details: object, message: string): void {
    const count = this.#counts.get(message) ?? this.#begin(message, level)
    const name = count.bySource.has(source) || count.bySource.size < this.#maxSources ? source : ''
    const ofSource = count.bySource.get(name) ?? 0
    if (count.written < this.#linesInAll && ofSource < LINES_OF_SOURCE) {
      count.written += 1
      count.bySource.set(name, ofSource + 1)
      this.logger[level](details, message)
      return
    }
    count.heldBack += 1
    count.level = level
    if (count.heldBackSources.size < this.#maxSources) count.heldBackSources.add(source)
  }

  #begin(message: string, level: Level): Count {
    const count: Count = { written: 0, heldBack: 0, level, bySource: new Map(), heldBackSources: new Set() }
    this.#counts.set(message, count)
    this.#afterWindow(() => this.#end(message, count))
    return count
  }

  #end(message: string, { heldBack, level, heldBackSources }: Count): void {
    this.#counts.delete(message)
    if (heldBack === 0) return
    const sources = heldBackSources.size
    this.logger[level]({ heldBack, sources, within: '1min' }, `${message}: ${heldBack} more lines, not written`)
  }
}
