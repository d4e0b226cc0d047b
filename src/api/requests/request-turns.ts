import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { endParsing } from '../../network/end-parsing.js'
import type { OpenCount, OpenRequests } from '../../network/sources/open-requests.js'
import { sourceOf } from '../../network/sources/source-address.js'
import { TurnLimit } from '../../process/pacing/turn-limit.js'
import { answerUnderWay, isUnderWay } from './answer-under-way.js'

/** The number of pipelined requests of one connection beyond which no more is read of it until they have begun. */
const MAX_WAITING = 32

/**
 * How long requests are begun in one turn of the event loop. Those of hundreds of connections suffice: what waits costs
 * some microseconds more.
 */
const MAX_BEGINNING_MS = 12
/** Few requests at a time, as they nearly always come, are begun without a look at the clock. */
const FREE_IN_TURN = 16

type Pair = readonly [request: IncomingMessage, response: ServerResponse]

/**
 * Begins the requests of a connection one after another: each once the one before it is answered, whatever is sent ahead
 * (RFC 9112, section 9.3.2). An answer that waited behind another one would not learn that its connection is lost, and
 * would keep what it holds. Sources take turns: Node hands over all that it has read at once, thousands of requests, on
 * one connection or many, while everyone else waits.
 * @param open has the bound of those that wait on a connection
 */
export function takeTurns(listener: RequestListener, open: OpenRequests): RequestListener {
  const pipelines = new WeakMap<Socket, Pipeline>()
  const turns = new Turns()
  return (request, response) => {
    const { socket } = request
    if (isUnderWay(response, socket)) {
      // It waits for no other: so it is with nearly all.
      if (turns.take()) void listener(request, response)
      else turns.await(socket, () => void listener(request, response))
      return
    }
    if (socket.destroyed) return // amid what was read of it
    let pipeline = pipelines.get(socket)
    if (pipeline === undefined) {
      pipeline = new Pipeline(socket, listener, turns, open)
      pipelines.set(socket, pipeline)
    }
    pipeline.add(request, response)
  }
}

/** The turns of a listener: a request begins at once, or once others have had theirs. */
class Turns {
  readonly #limit = new TurnLimit(MAX_BEGINNING_MS)
  /** The requests that wait, by source. The sources take turns, in this order. */
  readonly #waiting = new Map<string, (() => void)[]>()
  /** Requests that begin before the time of a turn is looked at. */
  #free = FREE_IN_TURN

  /** Takes a place in this turn for a request, which then begins. @returns false where it has to wait */
  take(): boolean {
    if (this.#waiting.size > 0) return false
    if (this.#free > 0) {
      this.#free -= 1
      if (this.#free === 0) setImmediate(this.#renew)
      return true
    }
    return !this.#limit.isOver
  }

  begin(socket: Socket, begin: () => void): void {
    if (this.take()) begin()
    else this.await(socket, begin)
  }

  await(socket: Socket, begin: () => void): void {
    const source = sourceOf(socket.remoteAddress ?? '')
    const isFirst = this.#waiting.size === 0
    const waiting = this.#waiting.get(source) ?? []
    this.#waiting.set(source, waiting)
    waiting.push(() => {
      if (!socket.destroyed) begin()
    })
    if (isFirst) void this.#beginWaiting() // never rejects
  }

  async #beginWaiting(): Promise<void> {
    while (this.#waiting.size > 0) {
      await this.#limit.next()
      do {
        this.#beginNext()
        await undefined // what it goes on with counts as well
      } while (this.#waiting.size > 0 && !this.#limit.isOver)
    }
  }

  #beginNext(): void {
    const [first] = this.#waiting
    if (first === undefined) return
    const [source, waiting] = first
    const begin = waiting.shift()
    this.#waiting.delete(source)
    if (waiting.length > 0) this.#waiting.set(source, waiting) // behind the others
    begin?.()
  }

  readonly #renew = (): void => {
    this.#free = FREE_IN_TURN
  }
}

/** The requests of a connection that came before earlier ones were answered. */
class Pipeline {
  readonly #waiting: Pair[] = []
  readonly #open: OpenCount
  #isHeld = false

  constructor(
    private readonly socket: Socket,
    private readonly listener: RequestListener,
    private readonly turns: Turns,
    open: OpenRequests
  ) {
    this.#open = open.of(socket, () => {
      this.#waiting.length = 0
      endParsing(socket)
    })
    if (socket instanceof TLSSocket) readAsStream(socket)
    // Node resumes it as well, for bodies and after drains.
    socket.on('resume', () => {
      if (this.#isHeld) socket.pause()
    })
  }

  add(request: IncomingMessage, response: ServerResponse): void {
    if (!this.#open.add()) return
    response.once('close', () => this.#open.remove())
    this.#waiting.push([request, response])
    if (this.#waiting.length === 1) this.#awaitTurnAfter(answerUnderWay(this.socket))
    if (this.#waiting.length <= MAX_WAITING) return
    this.#isHeld = true
    this.socket.pause()
  }

  /** Begins the request whose answer is the next one of the connection. */
  #beginNext(): void {
    if (this.socket.destroyed || this.socket.writableEnded) this.#waiting.length = 0 // nobody would have their answers
    const next = this.#waiting.shift()
    if (this.#waiting.length === 0) this.#release()
    if (next === undefined) return
    const [request, response] = next
    if (this.#waiting.length > 0) this.#awaitTurnAfter(response)
    void this.listener(request, response)
  }

  #awaitTurnAfter(earlier: ServerResponse | undefined): void {
    const awaitTurn = () => this.turns.begin(this.socket, () => this.#beginNext())
    if (earlier === undefined || earlier.destroyed) awaitTurn()
    else earlier.once('close', awaitTurn)
  }

  #release(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    if (!this.socket.destroyed && !isPausedByNode(this.socket)) this.socket.resume()
  }
}

/**
 * Node's parser reads a TLS connection past its stream, and is handed all records that have come, also when it was
 * paused after the first: it takes the others for an error, and the connection ends. A listener makes it read the stream.
 */
function readAsStream(socket: TLSSocket): void {
  const ignore = () => undefined
  socket.on('data', ignore)
  socket.off('data', ignore)
  socket.push('') // Node may have stopped reading before, and the stream would wait for what was being read
}

/** Whether Node has paused the socket until answers are taken; it resumes by itself. */
function isPausedByNode(socket: Socket): boolean {
  return '_paused' in socket && socket._paused === true
}
