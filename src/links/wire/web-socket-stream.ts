import { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import { neighbourPieces, type PieceBudget } from '../../network/sources/piece-budget.js'
import { countStreamed } from '../../process/pacing/buffer-collection.js'
import { bulkPauseMs } from '../../process/pacing/bulk-pacing.js'
import { queueCleanUp } from '../../process/pacing/work-queue.js'
import { FrameWatch } from './frame-watch.js'
import { FLOOD, IdleBudget } from './idle-budget.js'
import { WEB_SOCKET_LIMITS } from './protocol.js'
import { LinkLostError, type LinkStream, type LinkStreamOptions } from './transport.js'

/** The bytes of one message. The other side holds a message in memory until all of it is there. */
const PIECE_BYTES = 64 * 1024
/** Waiting in ws and the socket below it before the writer is held back. */
const HIGH_WATER_BYTES = 256 * 1024

/** The close code of a connection that ends in order (RFC 6455, section 7.4.1). */
export const NORMAL_CLOSE = 1000
const BINARY = { binary: true } as const

/**
 * Describes the closing of a WebSocket for people.
 * @param reason what the other side gave; empty where it only broke
 */
export function describeClose(code: number, reason: Buffer): string {
  if (reason.length > 0) return `${reason.toString('utf8')} (${code})`
  return `the connection was lost (WebSocket close code ${code})`
}

/**
 * Ends the connection of a WebSocket: at once where it is open. One that is being closed still has its close frame to send, which tells
 * the other side why, and gets the time that ws leaves it for that (`closeTimeout`).
 */
export function endSocket(socket: WebSocket): void {
  if (socket.readyState !== WebSocket.CLOSING) {
    socket.terminate()
    return
  }
  if (socket.isPaused) socket.resume() // or the close frame of the other side would not be read
  limitClosing(socket)
}

/** ws itself sets no limit where the other side has ended its half of the connection. */
function limitClosing(socket: WebSocket): void {
  const limit = setTimeout(() => socket.terminate(), WEB_SOCKET_LIMITS.closeTimeout).unref()
  socket.once('close', () => clearTimeout(limit))
}

/**
 * A WebSocket as a plain byte stream that passes for a socket: HTTP/2 sessions, HTTP/1 servers and undici take it for
 * one. To be made before the first message may come. Lighter than ws' own `createWebSocketStream`, and it counts.
 */
export class WebSocketStream extends Duplex implements LinkStream {
  readBytes = 0
  writtenBytes = 0
  isAwaited = true
  /** The budget of the other side for frames that carry nothing. */
  readonly idle = new IdleBudget(() => this.writtenBytes + (this.#frames?.dataBytes ?? this.readBytes))
  readonly #frames: FrameWatch | undefined
  readonly #onFlood: LinkStreamOptions['onFlood']
  readonly #socket: WebSocket
  readonly #isBulk: boolean
  readonly #pieces: PieceBudget
  #isReadWanted = true
  #rest: NodeJS.Timeout | undefined
  #timer: NodeJS.Timeout | undefined
  #timeoutMs = 0

  constructor(
    socket: WebSocket,
    { isBulk = false, framesOf, onFlood, pieces = neighbourPieces() }: LinkStreamOptions = {}
  ) {
    super({ highWaterMark: PIECE_BYTES, allowHalfOpen: false })
    this.#socket = socket
    this.#isBulk = isBulk
    this.#pieces = pieces
    this.#frames = framesOf === undefined ? undefined : new FrameWatch(framesOf, this.idle, pieces)
    this.#onFlood = onFlood
    const noteIdle = () => this.#noteIdle()
    socket.on('ping', noteIdle)
    socket.on('pong', noteIdle)
    socket.binaryType = 'nodebuffer'
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      if (this.destroyed) return // it is read on for the close frame alone
      if (!isBinary) return void this.destroy(new Error('a text message on a byte stream'))
      if (data.length === 0) return this.#noteIdle()
      if (!this.isAwaited) return void this.destroy(new LinkLostError('bytes came that nobody had asked for'))
      this.#pieces.take(data.length)
      if (this.#frames?.read(data) === false) return this.#flooded()
      this.readBytes += data.length
      countStreamed(2 * data.length) // the message, and the pieces in which TLS gave it
      this.#touch()
      this.#isReadWanted = this.push(data)
      this.#restAfter(data.length)
      if (!this.#isReadWanted || this.#rest !== undefined) socket.pause()
    })
    socket.on('close', (code, reason) => queueCleanUp(() => this.#lost(code, reason)))
    socket.on('error', error => this.destroy(error))
  }

  #lost(code: number, reason: Buffer): void {
    if (this.destroyed) return
    if (code === NORMAL_CLOSE) this.push(null)
    else this.destroy(new LinkLostError(describeClose(code, reason)))
  }

  #noteIdle(): void {
    if (!this.idle.spend()) this.#flooded()
  }

  #flooded(): void {
    if (this.destroyed) return
    if (this.#onFlood === undefined) this.destroy(new LinkLostError(FLOOD))
    else this.#onFlood(FLOOD)
  }

  override _read(): void {
    this.#isReadWanted = true
    if (this.#rest === undefined && this.#socket.isPaused) this.#socket.resume()
  }

  /** Reads no more for a while, where an order is under way, or where too much came in short pieces. */
  #restAfter(bytes: number): void {
    const pauseMs = Math.max(this.#isBulk ? bulkPauseMs(bytes) : 0, this.#pieces.restMs)
    if (pauseMs === 0 || this.#rest !== undefined) return
    this.#rest = setTimeout(() => {
      this.#rest = undefined
      if (this.#isReadWanted && this.#socket.isPaused) this.#socket.resume()
    }, pauseMs)
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#send([chunk], callback)
  }

  override _writev(
    chunks: { readonly chunk: Buffer; readonly encoding: BufferEncoding }[],
    callback: (error?: Error | null) => void
  ): void {
    this.#send(
      chunks.map(({ chunk }) => chunk),
      callback
    )
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#socket.close(NORMAL_CLOSE)
    callback()
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    clearTimeout(this.#timer)
    clearTimeout(this.#rest)
    if (error === null && this.#socket.readyState === WebSocket.OPEN) this.#socket.close(NORMAL_CLOSE)
    endSocket(this.#socket)
    callback(error)
  }

  /** Small writes of one turn go as one message: fewer frames, masks and system calls. */
  #send(chunks: readonly Buffer[], callback: (error?: Error | null) => void): void {
    if (this.#socket.readyState !== WebSocket.OPEN) {
      this.#failOnceClosed(callback)
      return
    }
    const [only] = chunks
    const all = only !== undefined && chunks.length === 1 ? only : Buffer.concat(chunks)
    this.writtenBytes += all.length
    this.#touch()
    for (let start = 0; start < all.length - PIECE_BYTES; start += PIECE_BYTES) {
      this.#socket.send(all.subarray(start, start + PIECE_BYTES), BINARY)
    }
    const last = all.subarray(Math.max(0, Math.ceil(all.length / PIECE_BYTES) - 1) * PIECE_BYTES)
    const pauseMs = this.#isBulk ? bulkPauseMs(all.length) : 0
    const done = pauseMs === 0 ? callback : (error?: Error | null) => void setTimeout(callback, pauseMs, error)
    if (this.#socket.bufferedAmount > HIGH_WATER_BYTES) {
      this.#socket.send(last, BINARY, error => done(error))
    } else {
      this.#socket.send(last, BINARY)
      done()
    }
  }

  /** Fails once the connection has closed: the reason is known only at its end. */
  #failOnceClosed(callback: (error: Error) => void): void {
    if (this.#socket.readyState === WebSocket.CLOSED) {
      callback(new LinkLostError('the connection is closed'))
      return
    }
    this.#socket.once('close', (code, reason) => callback(new LinkLostError(describeClose(code, reason))))
    limitClosing(this.#socket)
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
