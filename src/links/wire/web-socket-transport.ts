import type { WebSocket } from 'ws'
import { awaitMessage } from './await-message.js'
import type { LinkStream, LinkStreamOptions, Transport, TransportEnding } from './transport.js'
import { describeClose, endSocket, NORMAL_CLOSE, WebSocketStream } from './web-socket-stream.js'

/** A WebSocket as the transport of a link or lane. */
export class WebSocketTransport implements Transport {
  /** @param socket open, and without a message yet */
  constructor(private readonly socket: WebSocket) {
    socket.on('error', ignore) // `close` follows
  }

  get isOpen(): boolean {
    return this.socket.readyState === this.socket.OPEN
  }

  send(text: string, done?: () => void): void {
    this.socket.send(text, done)
  }

  receive<T>(limitMs: number, take: (text: string) => T): Promise<T> {
    return awaitMessage(this.socket, limitMs, take)
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  stream(options?: LinkStreamOptions): LinkStream {
    return new WebSocketStream(this.socket, options)
  }

  ping(answered?: () => void): void {
    if (answered !== undefined) this.socket.once('pong', answered)
    this.socket.ping()
  }

  onSignOfLife(heard: () => void): void {
    this.socket.on('ping', heard)
    this.socket.on('pong', heard)
  }

  onClose(ended: (ending: TransportEnding) => void): void {
    this.socket.once('close', (code, reason) => ended(endingOf(code, reason)))
  }

  close(code: number, reason?: string): void {
    this.socket.close(code, reason)
  }

  end(): void {
    endSocket(this.socket)
  }

  terminate(): void {
    this.socket.terminate()
  }
}

function endingOf(code: number, reason: Buffer): TransportEnding {
  const isTold = reason.length > 0
  return { reason: describeClose(code, reason), isTold, isOrderly: code === NORMAL_CLOSE }
}

/** One function for all, since there are thousands of sockets. */
function ignore(): void {}
