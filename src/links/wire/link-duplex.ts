import { Duplex } from 'node:stream'
import { neighbourPieces, type PieceBudget } from '../../network/sources/piece-budget.js'
import { countStreamed } from '../../process/pacing/buffer-collection.js'
import { bulkPauseMs } from '../../process/pacing/bulk-pacing.js'
import { FrameWatch } from './frame-watch.js'
import { FLOOD, IdleBudget } from './idle-budget.js'
import { LinkLostError, type LinkStream, type LinkStreamOptions } from './transport.js'

/** Bytes that wait here before the reader or the writer is held back. */
const STREAM_HIGH_WATER_BYTES = 64 * 1024

/** Called when a write is done. */
export type Written = (error?: Error | null) => void

/**
 * A link's stream, without what carries its bytes: the counters, the budgets of the other side, the pacing of bulk, and what
 * the users of a socket expect of one. It ends as a whole: once the other side has ended, nothing is written any more
 * beyond what waits already.
 */
export abstract class LinkDuplex extends Duplex implements LinkStream {
  readBytes = 0
  writtenBytes = 0
  isAwaited = true
  readonly idle = new IdleBudget(() => this.writtenBytes + (this.#frames?.dataBytes ?? this.readBytes))
  readonly #frames: FrameWatch | undefined
  readonly #onFlood: LinkStreamOptions['onFlood']
  readonly #isBulk: boolean
  readonly #pieces: PieceBudget
  #isReadWanted = true
  #rest: NodeJS.Timeout | undefined
  #timer: NodeJS.Timeout | undefined
  #timeoutMs = 0

  constructor({ isBulk = false, framesOf, onFlood, pieces = neighbourPieces() }: LinkStreamOptions = {}) {
    super({ highWaterMark: STREAM_HIGH_WATER_BYTES, allowHalfOpen: false })
    this.#isBulk = isBulk
    this.#pieces = pieces
    this.#frames = framesOf === undefined ? undefined : new FrameWatch(framesOf, this.idle, pieces)
    this.#onFlood = onFlood
  }

  protected abstract pauseBelow(): void
  /** Called when bytes are wanted; they may come already. */
  protected abstract resumeBelow(): void
  /** Sends all chunks at once, and counts them. @param written called once more may be written, or they could not be sent */
  protected abstract send(chunks: readonly Buffer[], written: Written): void
  /** Ends what is below. Called once. */
  protected abstract endBelow(error: Error | null): void

  /**
   * Hands on bytes that came.
   * @param buffered the bytes of all buffers in which they came
   */
  protected handOn(data: Buffer, buffered: number): void {
    if (!this.isAwaited) return void this.destroy(new LinkLostError('bytes came that nobody had asked for'))
    this.#pieces.take(data.length)
    if (this.#frames?.read(data) === false) return void this.#flooded()
    this.readBytes += data.length
    countStreamed(buffered)
    this.#touch()
    this.#isReadWanted = this.push(data)
    this.#restAfter(data.length)
    if (!this.#isReadWanted || this.#rest !== undefined) this.pauseBelow()
  }

  /** Called once the other side has ended in order. */
  protected endReading(): void {
    if (this.destroyed) return
    if (this.isAwaited) this.push(null)
    else this.destroy() // nobody reads it, who would see the end
  }

  /** Counts what came and carried nothing. */
  protected noteIdle(): void {
    if (!this.idle.spend()) this.#flooded()
  }

  /** Counts bytes that are sent. @returns the function to call once they are, which bulk waits for a little longer */
  protected counted(bytes: number, written: Written): Written {
    this.writtenBytes += bytes
    this.#touch()
    const pauseMs = this.#isBulk ? bulkPauseMs(bytes) : 0
    return pauseMs === 0 ? written : error => void setTimeout(written, pauseMs, error)
  }

  #flooded(): void {
    if (this.destroyed) return
    if (this.#onFlood === undefined) this.destroy(new LinkLostError(FLOOD))
    else this.#onFlood(FLOOD)
  }

  /** Reads no more for a while, where an order is under way, or where too much came in short pieces. */
  #restAfter(bytes: number): void {
    const pauseMs = Math.max(this.#isBulk ? bulkPauseMs(bytes) : 0, this.#pieces.restMs)
    if (pauseMs === 0 || this.#rest !== undefined) return
    this.#rest = setTimeout(() => {
      this.#rest = undefined
      if (this.#isReadWanted) this.resumeBelow()
    }, pauseMs)
  }

  override _read(): void {
    this.#isReadWanted = true
    if (this.#rest === undefined) this.resumeBelow()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Written): void {
    this.send([chunk], callback)
  }

  /** Small writes of one turn go together: fewer frames, masks, records and system calls. */
  override _writev(
    chunks: { readonly chunk: Buffer; readonly encoding: BufferEncoding }[],
    callback: (error?: Error | null) => void
  ): void {
    this.send(
      chunks.map(({ chunk }) => chunk),
      callback
    )
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    clearTimeout(this.#timer)
    clearTimeout(this.#rest)
    this.endBelow(error)
    callback(error)
  }

  #touch(): void {
    if (this.#timer !== undefined) this.#timer.refresh()
  }

  // What follows is what its users expect of a socket.

  setTimeout(timeoutMs: number, listener?: () => void): this {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#timeoutMs = timeoutMs
    if (listener !== undefined) {
      if (timeoutMs === 0) this.off('timeout', listener)
      else this.once('timeout', listener)
    }
    if (timeoutMs > 0) this.#timer = setTimeout(() => this.emit('timeout'), timeoutMs).unref()
    return this
  }

  get timeout(): number {
    return this.#timeoutMs
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  destroySoon(): void {
    this.end()
  }
}
