import { createServer, type IncomingMessage, type Server, request as sendRequest } from 'node:http'
import { Duplex } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { SeenMessage } from './read-messages.js'

/** Larger than {@link MAX_HEAD_BYTES} of ours, so that ours is the bound that is met. */
const MAX_HEADER_SIZE = 256 * 1024

/** A connection in memory; bytes that are written to it are dropped. */
class MemoryConnection extends Duplex {
  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done()
  }

  setTimeout(): this {
    return this
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
}

/** The messages that llhttp, as Node has it, reads on one connection. */
export interface SeenByLlhttp {
  readonly messages: readonly SeenMessage[]
  /** `HPE_…`: the reason for which it refused the message behind the complete ones. */
  readonly code: string | undefined
}

interface SeenMessagesSoFar {
  readonly messages: SeenMessage[]
  code: string | undefined
}

/** Reads requests by llhttp, in Node's server. */
export class LlhttpServer {
  readonly #server: Server
  #seen: SeenMessagesSoFar = { messages: [], code: undefined }

  constructor() {
    this.#server = createServer({ maxHeaderSize: MAX_HEADER_SIZE, requireHostHeader: false })
    this.#server.maxHeadersCount = 0
    for (const event of ['request', 'checkContinue', 'checkExpectation']) {
      this.#server.on(event, (request: IncomingMessage) => this.#onRequest(request))
    }
    this.#server.on('clientError', (error: NodeJS.ErrnoException) => {
      this.#seen.code = error.code ?? error.message
    })
  }

  async read(bytes: Buffer): Promise<SeenByLlhttp> {
    const seen: SeenMessagesSoFar = { messages: [], code: undefined }
    this.#seen = seen
    const connection = new MemoryConnection()
    this.#server.emit('connection', connection)
    connection.push(bytes)
    await settle()
    connection.destroy()
    return { ...seen }
  }

  #onRequest(request: IncomingMessage): void {
    const start = `${request.method} ${request.url} ${request.httpVersionMinor}`
    this.#seen.messages.push(follow(request, start))
  }
}

/** Reads one answer by llhttp, in Node's client. */
export async function readAnswerByLlhttp(bytes: Buffer, method: string, isEnded: boolean): Promise<SeenByLlhttp> {
  const seen: SeenMessagesSoFar = { messages: [], code: undefined }
  const connection = new MemoryConnection()
  const request = sendRequest({
    method,
    maxHeaderSize: MAX_HEADER_SIZE,
    createConnection: () => connection
  })
  request.maxHeadersCount = 0
  request.on('information', ({ statusCode, statusMessage, httpVersionMinor, rawHeaders }) => {
    const start = `${statusCode} ${statusMessage} ${httpVersionMinor}`
    seen.messages.push({ start, fields: rawHeaders.map(trimEnd), body: '', trailers: [], isComplete: true })
  })
  request.on('response', (answer: IncomingMessage) => {
    seen.messages.push(follow(answer, `${answer.statusCode} ${answer.statusMessage} ${answer.httpVersionMinor}`))
    answer.on('error', (error: NodeJS.ErrnoException) => {
      seen.code ??= error.code
    })
  })
  request.on('upgrade', ({ statusCode, statusMessage, httpVersionMinor, rawHeaders }) => {
    const start = `${statusCode} ${statusMessage} ${httpVersionMinor}`
    seen.messages.push({ start, fields: rawHeaders.map(trimEnd), body: '', trailers: [], isComplete: true })
  })
  request.on('error', (error: NodeJS.ErrnoException) => {
    seen.code ??= error.code ?? error.message
  })
  request.end()
  await settle()
  connection.push(bytes)
  if (isEnded) connection.push(null)
  await settle()
  const { messages, code } = seen
  request.destroy()
  connection.destroy()
  return { messages: [...messages], code }
}

function follow(message: IncomingMessage, start: string): SeenMessage {
  const seen: SeenMessage = {
    start,
    fields: message.rawHeaders.map(trimEnd),
    body: '',
    trailers: [],
    isComplete: false
  }
  message.setEncoding('latin1')
  message.on('data', (text: string) => {
    seen.body += text
  })
  message.on('end', () => {
    seen.trailers = message.rawTrailers.map(trimEnd)
    seen.isComplete = message.complete
  })
  return seen
}

/** llhttp leaves tabs behind a value, which mean nothing (RFC 9110, 5.5). */
function trimEnd(text: string): string {
  return text.replace(/[\t ]+$/, '')
}

/** Streams tell of data and ends in the turns behind the one in which these come. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await nextTurn()
}
