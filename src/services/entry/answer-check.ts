import { cleanFields } from '../exchange/clean-fields.js'
import type { ExchangeMessage } from '../exchange/exchange-messages.js'
import type { ServiceRequest } from '../exchange/service-request.js'
import { malformed } from '../http1/bad-message-error.js'
import { responseFraming } from '../http1/framing.js'
import { parseResponseHead } from '../http1/parse-heads.js'

/** Interim answers to one request. The edge sends 100 alone. */
const MAX_INTERIM_MESSAGES = 32

type AnswerMessage = Extract<ExchangeMessage, { kind: 'answer' }>

/**
 * Checks what comes from below as the answer to one request. The side below may be anybody: what it sends must not be read
 * as another answer on the caller's connection, and an answer that is not whole must not pass for a whole one.
 */
export class AnswerCheck {
  #interim = 0
  #hasHead = false
  #hasTrailers = false
  /** Bytes of the body that may still come. */
  #left = 0
  /** Whether all of them have to come. */
  #isBound = false

  constructor(private readonly request: Pick<ServiceRequest, 'head' | 'upgrade'>) {}

  /** @throws {BadMessageError} */
  message(message: ExchangeMessage): void {
    if (message.kind === 'answer') this.#head(message)
    else if (message.kind === 'interim') {
      this.#interim += 1
      if (this.#hasHead) throw malformed('1xx stands behind its head')
      if (this.#interim > MAX_INTERIM_MESSAGES) throw malformed(`there are more than ${MAX_INTERIM_MESSAGES} with 1xx`)
    } else {
      if (!this.#hasHead || this.#hasTrailers) throw malformed('trailers stand where none belong')
      if (cleanFields(message.trailers).length !== message.trailers.length) {
        throw malformed('its trailers have headers of one connection alone')
      }
      this.#hasTrailers = true
    }
  }

  /** @throws {BadMessageError} */
  data(bytes: number): void {
    this.#left -= bytes
    if (this.#left < 0) throw malformed(this.#hasHead ? 'it has more bytes than its head names' : 'it has no head')
    if (this.#hasTrailers) throw malformed('a part of its body stands behind the trailers')
  }

  /** @throws {BadMessageError} */
  end(): void {
    if (this.#isBound && this.#left > 0) throw malformed('it has fewer bytes than its head names')
  }

  #head({ body, head: bytes }: AnswerMessage): void {
    if (this.#hasHead) throw malformed('it has a second head')
    this.#hasHead = true
    const head = parseResponseHead(`${bytes.toString('latin1')}\r\n`)
    const { status, fields } = head
    if (head.minor !== 1) throw malformed('its head is of another version than the messages between relays have')
    if (cleanFields(fields, status === 101 ? 'upgrade' : undefined).length !== fields.length) {
      throw malformed('its head has headers of one connection alone')
    }
    if ((body === 'raw') !== (status === 101)) throw malformed(`its body does not fit the status ${status}`)
    if (status === 101) {
      if (this.request.upgrade === undefined) throw malformed('it switches protocols, which nobody asked for')
      this.#left = Number.POSITIVE_INFINITY
      return
    }
    if (status < 200) throw malformed(`the status ${status} is none of a final answer`)
    const framing = responseFraming(head, this.request.head.method)
    const named = framing.kind === 'until-close' ? 'chunked' : framing.kind // which is framed for the caller
    const isBare = body === 'none' && framing.kind === 'until-close' // an answer in HTTP/2 that ends with its head
    if (named !== body && !isBare) throw malformed('its head frames another body than its message tells')
    this.#isBound = framing.kind === 'length'
    this.#left = framing.kind === 'length' ? framing.bytes : body === 'chunked' ? Number.POSITIVE_INFINITY : 0
  }
}
