import { WebSocket } from 'ws'
import { queueCleanUp } from '../../process/pacing/work-queue.js'
import { LinkDuplex, type Written } from './link-duplex.js'
import { WEB_SOCKET_LIMITS } from './protocol.js'
import { LinkLostError, type LinkStreamOptions } from './transport.js'

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
export class WebSocketStream extends LinkDuplex {
  readonly #socket: WebSocket

  constructor(socket: WebSocket, options?: LinkStreamOptions) {
    super(options)
    this.#socket = socket
    const noteIdle = () => this.noteIdle()
    socket.on('ping', noteIdle)
    socket.on('pong', noteIdle)
    socket.binaryType = 'nodebuffer'
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      if (this.destroyed) return // it is read on for the close frame alone
      if (!isBinary) return void this.destroy(new Error('a text message on a byte stream'))
      if (data.length === 0) return this.noteIdle()
      this.handOn(data, 2 * data.length) // the message, and the pieces in which TLS gave it
    })
    socket.on('close', (code, reason) => queueCleanUp(() => this.#lost(code, reason)))
    socket.on('error', error => this.destroy(error))
  }

  #lost(code: number, reason: Buffer): void {
    if (this.destroyed) return
    if (code === NORMAL_CLOSE) this.endReading()
    else this.destroy(new LinkLostError(describeClose(code, reason)))
  }

  protected override pauseBelow(): void {
    this.#socket.pause()
  }

  protected override resumeBelow(): void {
    if (this.#socket.isPaused) this.#socket.resume()
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#socket.close(NORMAL_CLOSE)
    callback()
  }

  protected override endBelow(error: Error | null): void {
    if (error === null && this.#socket.readyState === WebSocket.OPEN) this.#socket.close(NORMAL_CLOSE)
    endSocket(this.#socket)
  }

  protected override send(chunks: readonly Buffer[], written: Written): void {
    if (this.#socket.readyState !== WebSocket.OPEN) {
      this.#failOnceClosed(written)
      return
    }
    const [only] = chunks
    const all = only !== undefined && chunks.length === 1 ? only : Buffer.concat(chunks)
    const done = this.counted(all.length, written)
    for (let start = 0; start < all.length - PIECE_BYTES; start += PIECE_BYTES) {
      this.#socket.send(all.subarray(start, start + PIECE_BYTES), BINARY)
    }
    const last = all.subarray(Math.max(0, Math.ceil(all.length / PIECE_BYTES) - 1) * PIECE_BYTES)
    if (this.#socket.bufferedAmount > HIGH_WATER_BYTES) {
      this.#socket.send(last, BINARY, error => done(error))
    } else {
      this.#socket.send(last, BINARY)
      done()
    }
  }

  /** Fails once the connection has closed: the reason is known only at its end. */
  #failOnceClosed(written: Written): void {
    if (this.#socket.readyState === WebSocket.CLOSED) {
      written(new LinkLostError('the connection is closed'))
      return
    }
    this.#socket.once('close', (code, reason) => written(new LinkLostError(describeClose(code, reason))))
    limitClosing(this.#socket)
  }
}
