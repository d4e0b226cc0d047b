import type { HeadChange, OutgoingHead } from '../credentials/edge-credentials.js'
import type { SentBody } from '../exchange/service-request.js'
import type { Fields } from '../http1/fields.js'
import type { BodyFraming } from '../http1/framing.js'
import type { ResponseHead } from '../http1/heads.js'

/** A request as the service gets it. */
export interface OutgoingRequest {
  /** The head before credentials change it. */
  readonly head: OutgoingHead
  /** The change that credentials make to it. */
  readonly change: HeadChange
  readonly framing: SentBody
  /** The value of `Upgrade`, where the caller offers one. HTTP/2 has none: such a request is an ordinary one there. */
  readonly upgrade: string | undefined
  /** A body that goes with the head; the stream brings none then. */
  readonly body?: readonly Buffer[] | undefined
}

/** The listener of one exchange with a service. Nothing is called after `onAnswerEnd` or `onFailure`. */
export interface AnswerSink {
  /** An answer before the answer, such as 100 or 103. */
  onInterim(head: ResponseHead): void
  /** @param framing undefined: raw bytes follow, a 101 */
  onAnswerHead(head: ResponseHead, framing: BodyFraming | undefined): void
  onAnswerData(piece: Buffer): void
  onAnswerEnd(trailers: Fields): void
  /** @param hasAnswered whether a byte of an answer came before */
  onFailure(reason: string, hasAnswered: boolean): void
  /** More may be written again. */
  onServiceDrain(): void
}

/** The way of one exchange to its service: a connection in HTTP/1, or a stream of one in HTTP/2. */
export interface ServiceChannel {
  /** Whether other exchanges were on its connection before: the service may be closing it. */
  readonly isReused: boolean
  /** Whether the service may have got something of the request. */
  readonly isConnected: boolean
  /** Begins the exchange, and sends the head. */
  begin(outgoing: OutgoingRequest, sink: AnswerSink): void
  /** Sends a piece of the body, or raw bytes. @returns false when no more should be written until `onServiceDrain` */
  write(piece: Buffer): boolean
  /** Ends the body. */
  finish(trailers: Fields): void
  /** Ends the direction to the service: of raw bytes. */
  end(): void
  pause(): void
  resume(): void
  /** Gives the channel back behind the whole answer. @param isSent whether the whole request was sent */
  release(isSent: boolean): void
  /** Ends the exchange. The sink is told nothing more. */
  close(): void
}

/** Answers before the answer; more of them are no use to anybody. */
export const MAX_INTERIM = 32

/** All connections to one service. */
export interface ServiceChannels {
  /** A channel for one exchange; its connection may still be opening. @param isNew on no connection that was used before */
  take(isNew: boolean): ServiceChannel
  /** Closes connections that nobody uses; the others are not used again. */
  renew(): void
  close(): void
}
