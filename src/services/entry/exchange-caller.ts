import type { AnswerBody } from '../exchange/exchange-messages.js'
import type { Fields } from '../http1/fields.js'
import type { ServiceRefusal } from './service-refusal.js'

/** The caller of one request, as its exchange uses it: the answer goes in the version of HTTP in which it asked. */
export interface ExchangeCaller {
  /** Whether the whole request has come. */
  readonly hasWholeRequest: boolean
  /** Asks for the body that the caller holds back. */
  goAhead(): void
  /**
   * Begins the answer.
   * @param head status line and fields, without the empty line
   * @throws {BadMessageError} when the version of HTTP cannot carry it; nothing was sent
   */
  begin(body: AnswerBody, status: number, head: Buffer): void
  /** Sends a piece of the answer's body, or raw bytes. @returns false when no more should be written until `callerDrained` */
  write(piece: Buffer): boolean
  /** Ends the direction to the caller: of raw bytes. */
  end(): void
  /** Ends the answer: it is complete. */
  complete(trailers: Fields): void
  /** Answers in place of the service: the exchange is over. */
  refuse(refusal: ServiceRefusal): void
  /** Breaks the answer off: what was sent is not the whole. */
  breakOff(): void
  /** The exchange may be blocked where it was not, or the other way round. */
  flowChanged(): void
  /** From now on raw bytes come. */
  becameRaw(): void
}
