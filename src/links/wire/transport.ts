import type { Duplex } from 'node:stream'
import type { PieceBudget } from '../../network/sources/piece-budget.js'
import type { IdleBudget } from './idle-budget.js'

/** The connection below a stream has gone. */
export class LinkLostError extends Error {
  override name = 'LinkLostError'
  readonly code = 'ECONNRESET'
}

/**
 * The connection that one link or one lane stands on: text messages for the handshake, then a stream of bytes. The rest of the
 * link layer knows no other. Links are WebSockets, lanes either those or raw bytes. A further kind needs this interface, a way to
 * open it (beside `lower/open-web-socket.ts`), and a way to accept it (`upper/accepting/link-acceptor.ts`).
 */
export interface Transport {
  readonly isOpen: boolean
  /** Sends one message of the handshake. @param done called once it was written, or could not be */
  send(text: string, done?: () => void): void
  /**
   * Waits for the next message of the handshake, while nothing else listens.
   * @param take called in the turn in which it comes, so that a listener added there misses no message
   * @throws whatever `take` throws; `ChallengeError` when no text comes within the limit
   */
  receive<T>(limitMs: number, take: (text: string) => T): Promise<T>
  pause(): void
  resume(): void
  /** The bytes that follow the handshake. Called once, before the first of them may come. */
  stream(options?: LinkStreamOptions): LinkStream
  /** Asks for a sign of life, where the transport has any. @param answered called when the other side answers */
  ping(answered?: () => void): void
  /** @param heard called for each sign of life that carries no bytes */
  onSignOfLife(heard: () => void): void
  /** Called once. A transport that has ended already calls nothing. */
  onClose(ended: (ending: TransportEnding) => void): void
  /** Ends in order. @param code one of the close codes of the protocol @param reason at most 123 bytes; left out: none is told */
  close(code: number, reason?: string): void
  /** Ends at once; where `close` was called before, as soon as the other side knows of it, or after a limit. */
  end(): void
  /** Ends at once, without telling the other side. */
  terminate(): void
}

/** The end of a transport. */
export interface TransportEnding {
  /** Why, for people. */
  readonly reason: string
  /** Whether the other side gave the reason. */
  readonly isTold: boolean
  /** Whether it ended in order. */
  readonly isOrderly: boolean
}

export interface LinkStreamOptions {
  /** Whether it gives way to orders. */
  readonly isBulk?: boolean
  /** Our side of HTTP/2, if that is what comes over the stream. */
  readonly framesOf?: 'client' | 'server'
  /** The budget for short messages, of the link and its lanes together. @default one of its own */
  readonly pieces?: PieceBudget
  /** Called, instead of ending it, when the other side sends too much that brings nothing on. */
  readonly onFlood?: (reason: string) => void
}

/** The bytes of a transport. Passes for a socket: HTTP/2 sessions, HTTP/1 servers and undici take it for one. */
export interface LinkStream extends Duplex {
  readonly readBytes: number
  readonly writtenBytes: number
  /** The budget of the other side for frames that carry nothing. */
  readonly idle: IdleBudget
  /** Whether the other side has anything to send. Where it has not, what it sends ends the stream. */
  isAwaited: boolean
}
