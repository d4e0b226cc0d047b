import { errorMessage, failureKind } from '../../values/failures/system-error.js'
import { LogLimit } from '../../values/logging/log-limit.js'
import type { Logger } from '../../values/logging/logger.js'
import { MAX_FILE_PROBLEMS } from '../../values/runs/reported-node-state.js'

const MAX_PROBLEM_CHARS = 500

/** The key of a problem that keeps every file from being received or shared. */
const ALL_FILES = 'files'

/** The kind of a failure that may pass when the link opens. */
const NO_LINK = 'no link'

/** The kind of what an entry waits for without a failure. */
const WAITS = 'waits'

interface Problem {
  readonly reason: string
  readonly kind: string
}

/**
 * The reasons why files cannot be received or shared now. A file is tried again for as long as it fails: the log has each
 * failure of an entry once, and again when it is of another kind, or has come back.
 */
export class FileProblems {
  readonly #problems = new Map<string, Problem>()
  /** Other users may change a file that is shared, and so have it fail in turns. */
  readonly #limited: LogLimit

  constructor(logger: Logger) {
    this.#limited = new LogLimit(logger)
  }

  /** The first few, by entry. */
  get shown(): string[] {
    const first = [...this.#problems].slice(0, MAX_FILE_PROBLEMS)
    return first.map(([what, { reason }]) => `${what}: ${reason}`.slice(0, MAX_PROBLEM_CHARS))
  }

  /** @param what the entry, such as `agent.share[0]` */
  failed(what: string, error: unknown, waitsForLink: boolean): void {
    const limited = this.#limited
    const details = { what, reason: errorMessage(error) }
    if (!this.#note(what, { reason: details.reason, kind: waitsForLink ? NO_LINK : failureKind(error) })) return
    if (waitsForLink) limited.info(what, details, 'file waits for the link')
    else if (what.startsWith('agent.receive')) limited.error(what, details, 'cannot receive file; trying again')
    else limited.error(what, details, 'cannot share file; trying again')
  }

  /** Shows what an entry waits for, which is no failure. */
  waits(what: string, reason: string): void {
    this.#problems.set(what, { reason, kind: WAITS })
  }

  succeeded(what: string): void {
    this.#problems.delete(what)
  }

  allFailed(err: unknown): void {
    if (!this.#note(ALL_FILES, { reason: errorMessage(err), kind: failureKind(err) })) return
    this.#limited.error(ALL_FILES, { err }, 'cannot process files now; trying again')
  }

  /** Work on files has begun, whatever becomes of each. */
  begun(): void {
    this.#problems.delete(ALL_FILES)
  }

  clear(): void {
    this.#problems.clear()
  }

  /** @returns whether it is of another kind than the last one */
  #note(what: string, problem: Problem): boolean {
    const former = this.#problems.get(what)
    this.#problems.set(what, problem)
    return former?.kind !== problem.kind
  }
}
