import { BadMessageError, type MessageProblem } from '../../../src/services/http1/bad-message-error.js'
import { type Fields, listElements, NO_FIELDS } from '../../../src/services/http1/fields.js'
import { type BodyFraming, requestFraming, responseFraming } from '../../../src/services/http1/framing.js'
import { HeadReader } from '../../../src/services/http1/head-reader.js'
import { isPersistent, type RequestHead, type ResponseHead } from '../../../src/services/http1/heads.js'
import { MessageBodyReader } from '../../../src/services/http1/message-body-reader.js'
import { parseRequestHead, parseResponseHead } from '../../../src/services/http1/parse-heads.js'

/** A message as a parser read it. */
export interface SeenMessage {
  /** `GET /path 1`: method, target and minor version; `200 OK 1`. */
  readonly start: string
  readonly fields: Fields
  /** Latin1. */
  body: string
  trailers: Fields
  isComplete: boolean
}

/** All messages that a parser read on one connection. */
export interface SeenMessages {
  readonly messages: readonly SeenMessage[]
  /** The parser refused the message behind the complete ones. */
  readonly problem: MessageProblem | undefined
  /** Nothing more is read: a message was refused, or the last one is complete. */
  readonly isOver: boolean
}

type Head = RequestHead | ResponseHead

/** Reads what comes on one connection, as a server or a client would. */
class MessagesReader<H extends Head> {
  readonly messages: SeenMessage[] = []
  problem: MessageProblem | undefined
  #body: MessageBodyReader | undefined
  isOver = false

  constructor(
    private readonly heads: HeadReader,
    private readonly parse: (block: string) => H,
    private readonly framing: (head: H) => BodyFraming,
    private readonly startOf: (head: H) => string,
    private readonly isLast: (head: H) => boolean
  ) {}

  read(chunk: Buffer): void {
    this.#guard(() => {
      let rest: Buffer | undefined = chunk
      while (rest !== undefined && !this.isOver) rest = this.#step(rest)
    })
  }

  endOfInput(): void {
    this.#guard(() => this.#body?.endOfInput())
  }

  #guard(step: () => void): void {
    if (this.isOver) return
    try {
      step()
    } catch (error) {
      if (!(error instanceof BadMessageError)) throw error
      this.problem = error.problem
      this.isOver = true
    }
  }

  /** @returns the bytes that are still to be read; undefined when more must come */
  #step(bytes: Buffer): Buffer | undefined {
    if (this.#body !== undefined) {
      const rest = this.#body.read(bytes)
      if (rest !== undefined) this.#body = undefined
      return rest
    }
    const found = this.heads.read(bytes)
    if (found === undefined) return undefined
    const head = this.parse(found.head)
    const framing = this.framing(head)
    const message = { start: this.startOf(head), fields: head.fields, body: '', trailers: NO_FIELDS, isComplete: false }
    this.messages.push(message)
    this.#body = new MessageBodyReader(framing, {
      onData: piece => {
        message.body += piece.toString('latin1')
      },
      onEnd: trailers => {
        message.trailers = trailers
        message.isComplete = true
        this.isOver = this.isLast(head)
      }
    })
    return found.rest
  }
}

/** Reads requests by our parser, up to the one behind which there are no more. */
export function readRequests(pieces: readonly Buffer[]): SeenMessages {
  const start = ({ method, target, minor }: RequestHead) => `${method} ${target} ${minor}`
  const isLast = (head: RequestHead) => !isPersistent(head) || isUpgrade(head)
  const reader = new MessagesReader(new HeadReader('request'), parseRequestHead, requestFraming, start, isLast)
  for (const piece of pieces) reader.read(piece)
  return reader
}

/** Behind these, other protocols may begin. */
function isUpgrade({ method, fields }: RequestHead): boolean {
  return method === 'CONNECT' || listElements(fields, 'connection').includes('upgrade')
}

/** Reads the answers to one request by our parser: interim ones and the last. */
export function readAnswers(pieces: readonly Buffer[], method: string, isEnded: boolean): SeenMessages {
  const start = ({ status, reason, minor }: ResponseHead) => `${status} ${reason} ${minor}`
  const framing = (head: ResponseHead) => responseFraming(head, method)
  const isLast = ({ status }: ResponseHead) => status >= 200 || status === 101
  const reader = new MessagesReader(new HeadReader('response'), parseResponseHead, framing, start, isLast)
  for (const piece of pieces) reader.read(piece)
  if (isEnded) reader.endOfInput()
  return reader
}
