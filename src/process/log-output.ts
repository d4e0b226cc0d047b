import { fstatSync, writeSync } from 'node:fs'
import { errorCode } from '../values/failures/system-error.js'

/** Lines that wait until they can be written. */
const MAX_WAITING_BYTES = 256 * 1024
const FIRST_RETRY_MS = 10
const MAX_RETRY_MS = 1_000
/** How long the end of the process waits for whoever reads the log. */
const LAST_WAIT_MS = 500
const NAP_MS = 10

/**
 * The output of log lines: standard output, whatever becomes of it. On a full disk, a broken disk, a pipe that nobody
 * reads (any more), the process goes on: lines wait, a bounded number of them, further ones are counted and lost, and
 * that is told as soon as something can be written again. Nothing here waits or throws.
 */
export class LogOutput {
  readonly #waiting: Buffer[] = []
  #waitingBytes = 0
  #lostLines = 0
  #untoldLines = 0
  #reason = ''
  #retryMs = FIRST_RETRY_MS
  #timer: NodeJS.Timeout | undefined
  #tell: (lines: number, reason: string) => void = () => undefined

  /** @param fd stays open */
  constructor(private readonly fd = 1) {
    doNotBlock(fd)
    process.once('exit', () => this.#flushAtExit())
  }

  /** Lines that were never written, since the start. */
  get lostLines(): number {
    return this.#lostLines
  }

  /** @param tell is called when lines were lost and the output takes some again; it may write one about it */
  onRecovery(tell: (lines: number, reason: string) => void): void {
    this.#tell = tell
  }

  /** @param text whole lines */
  write(text: string): void {
    const bytes = Buffer.from(text)
    if (this.#waiting.length === 0) {
      const rest = this.#attempt(bytes)
      if (rest === undefined) return
      this.#keep(rest)
    } else if (this.#waitingBytes + bytes.length <= MAX_WAITING_BYTES) this.#keep(bytes)
    else {
      this.#lostLines += 1
      this.#untoldLines += 1
    }
    this.#retryLater()
  }

  #keep(bytes: Buffer): void {
    this.#waiting.push(bytes)
    this.#waitingBytes += bytes.length
  }

  /** @returns what could not be written */
  #attempt(bytes: Buffer): Buffer | undefined {
    let rest = bytes
    try {
      while (rest.length > 0) rest = rest.subarray(writeSync(this.fd, rest))
      return undefined
    } catch (error) {
      this.#reason = codeOf(error)
      return rest
    }
  }

  #retryLater(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      const before = this.#waitingBytes
      if (this.#writeWaiting()) return
      this.#retryMs = this.#waitingBytes < before ? FIRST_RETRY_MS : Math.min(MAX_RETRY_MS, this.#retryMs * 2)
      this.#retryLater()
    }, this.#retryMs).unref()
  }

  /** @returns whether nothing waits any more */
  #writeWaiting(): boolean {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const rest = this.#attempt(first)
      this.#waitingBytes -= first.length - (rest?.length ?? 0)
      if (rest !== undefined) {
        this.#waiting[0] = rest
        return false
      }
      this.#waiting.shift()
    }
    this.#retryMs = FIRST_RETRY_MS
    const lines = this.#untoldLines
    this.#untoldLines = 0
    if (lines > 0) this.#tell(lines, this.#reason)
    return this.#waiting.length === 0
  }

  /** Flushes the lines at exit: a slow reader gets a moment; for a full disk there is none. */
  #flushAtExit(): void {
    const untilMs = performance.now() + LAST_WAIT_MS
    while (!this.#writeWaiting() && this.#reason === 'EAGAIN' && performance.now() < untilMs) nap()
  }
}

/** A pipe or socket that nobody reads would stop the whole process. Node's own stream for it makes it one that does not wait. */
function doNotBlock(fd: number): void {
  const stats = fstatSync(fd)
  if (fd === 1 && (stats.isFIFO() || stats.isSocket())) void process.stdout
}

function codeOf(error: unknown): string {
  return errorCode(error) ?? String(error)
}

function nap(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, NAP_MS)
}
