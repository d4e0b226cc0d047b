import type { Duplex } from 'node:stream'
import { queueCleanUp } from '../../../process/pacing/work-queue.js'
import { LinkDuplex, type Written } from '../link-duplex.js'
import { LinkLostError, type LinkStreamOptions } from '../transport.js'

/** Waiting in the socket below before the writer is held back. */
const HIGH_WATER_BYTES = 256 * 1024
/** The bytes of a whole record of TLS (RFC 8446, section 5.1). */
const RECORD_BYTES = 16 * 1024
/** Whole records that go on together. */
const GATHERED_BYTES = 64 * 1024
/** How long the other side may take to end, once it was told that nothing more comes, in ms. */
const CLOSE_LIMIT_MS = 1_000
/** The same where it may still have bytes for us. */
const LAST_BYTES_LIMIT_MS = 10_000

/** Ends a connection in order: what was written goes out, what comes is dropped, and there is a limit to that. */
export function endConnection(connection: Duplex): void {
  if (connection.destroyed) return
  const limit = setTimeout(() => connection.destroy(), CLOSE_LIMIT_MS).unref()
  connection.once('close', () => clearTimeout(limit))
  connection.end()
  connection.resume() // or the end of the other side would not be read
}

/** The bytes of a connection as they are. Nothing in them tells an end in order from one by a machine in between. */
export class RawStream extends LinkDuplex {
  readonly #connection: Duplex
  #limit: NodeJS.Timeout | undefined
  #gathered: Buffer[] = []
  #gatheredBytes = 0

  /** @param connection paused, without listeners for its bytes; half open when the other side ends */
  constructor(connection: Duplex, options?: LinkStreamOptions) {
    super(options)
    this.#connection = connection
    connection.on('data', (chunk: Buffer) => {
      if (this.destroyed) return // it is read on for its end alone
      this.#limit?.refresh()
      this.#gather(chunk)
    })
    connection.on('end', () => this.#ended())
    connection.on('error', error => this.destroy(new LinkLostError(`the connection was lost: ${error.message}`)))
    connection.on('close', () => queueCleanUp(() => this.#lost()))
    connection.resume()
  }

  /**
   * TLS gives its records one by one, and each piece takes its users some 10 µs however short it is. So whole records of
   * one turn go on together; a shorter one is the last of what was written, and waits for nothing.
   */
  #gather(chunk: Buffer): void {
    if (this.#gathered.length === 0 && chunk.length !== RECORD_BYTES) return void this.handOn(chunk, chunk.length)
    if (this.#gathered.length === 0) setImmediate(this.#handOnAll)
    this.#gathered.push(chunk)
    this.#gatheredBytes += chunk.length
    if (this.#gatheredBytes >= GATHERED_BYTES || chunk.length !== RECORD_BYTES) this.#handOnAll()
  }

  readonly #handOnAll = (): void => {
    const all = this.#gathered
    const bytes = this.#gatheredBytes
    if (bytes === 0) return
    this.#gathered = []
    this.#gatheredBytes = 0
    if (this.destroyed) return
    const [first] = all
    if (first !== undefined && all.length === 1) this.handOn(first, bytes)
    else this.handOn(Buffer.concat(all, bytes), 2 * bytes)
  }

  #ended(): void {
    this.#handOnAll()
    this.endReading()
  }

  #lost(): void {
    if (!this.destroyed && !this.#connection.readableEnded) this.destroy(new LinkLostError('the connection was lost'))
  }

  protected override pauseBelow(): void {
    this.#connection.pause()
  }

  protected override resumeBelow(): void {
    if (this.#connection.isPaused()) this.#connection.resume()
  }

  override _final(callback: Written): void {
    this.#connection.end((error?: Error | null) => {
      if (!this.readableEnded && !this.destroyed) {
        this.#limit = setTimeout(() => this.destroy(), LAST_BYTES_LIMIT_MS).unref()
      }
      callback(error)
    })
  }

  protected override endBelow(error: Error | null): void {
    clearTimeout(this.#limit)
    if (error === null) endConnection(this.#connection)
    else this.#connection.destroy()
  }

  protected override send(chunks: readonly Buffer[], written: Written): void {
    const connection = this.#connection
    if (connection.destroyed || connection.writableEnded) {
      written(new LinkLostError('the connection is closed'))
      return
    }
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    const done = this.counted(bytes, written)
    const isFull = connection.writableLength + bytes > HIGH_WATER_BYTES
    const last = chunks.length - 1
    connection.cork()
    for (const [index, chunk] of chunks.entries()) {
      if (isFull && index === last) connection.write(chunk, error => done(error))
      else connection.write(chunk)
    }
    connection.uncork()
    if (!isFull) done()
  }
}
