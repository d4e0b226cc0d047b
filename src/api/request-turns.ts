import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { endParsing } from '../values/network/end-parsing.js'
import type { OpenCount, OpenRequests } from '../values/sources/open-requests.js'
import { isUnderWay } from './answer-under-way.js'

/**
 * Requests that are begun in one turn of the event loop while earlier ones of their connection wait for answers: of all
 * connections of a listener. Each takes some 60 us.
 */
export const MAX_BEGUN_IN_TURN = 32
/** The number of such requests that may be under way on one connection. */
export const MAX_UNANSWERED = 64

type Pair = readonly [request: IncomingMessage, response: ServerResponse]

/**
 * Has connections take turns: a caller may send requests without waiting for answers, and Node hands over all that it
 * has read at once, some 1,700 of the shortest, while everyone else waits. Beyond a few in a turn, they are begun in the
 * next ones, one of each connection at a time, and nothing more is read of the connection meanwhile.
 * @param open has the bound of those that are begun or wait
 */
export function takeTurns(listener: RequestListener, open: OpenRequests): RequestListener {
  const pipelines = new WeakMap<Socket, Pipeline>()
  const turns = new Turns()
  return (request, response) => {
    const { socket } = request
    if (isUnderWay(response, socket)) {
      void listener(request, response) // it waits for no other: so it is with nearly all
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

/** The turns that the connections of a listener share. */
class Turns {
  /** Connections with a waiting request that may begin. */
  readonly #ready = new Set<Pipeline>()
  #left = MAX_BEGUN_IN_TURN
  #isScheduled = false

  /** Whether one more may begin now; whoever is told so begins it. */
  take(): boolean {
    this.#schedule()
    if (this.#ready.size > 0 || this.#left === 0) return false
    this.#left -= 1
    return true
  }

  await(pipeline: Pipeline): void {
    this.#ready.add(pipeline)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => this.#goOn())
  }

  #goOn(): void {
    this.#isScheduled = false
    this.#left = MAX_BEGUN_IN_TURN
    for (const pipeline of this.#ready) {
      if (this.#left === 0) break
      this.#left -= 1
      this.#ready.delete(pipeline)
      if (pipeline.beginNext()) this.#ready.add(pipeline) // behind the others
    }
    if (this.#ready.size > 0) this.#schedule()
  }
}

/** The requests of a connection that came before earlier ones were answered. */
class Pipeline {
  readonly #waiting: Pair[] = []
  readonly #open: OpenCount
  #unanswered = 0
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
    if (this.#waiting.length === 0 && this.#unanswered < MAX_UNANSWERED && this.turns.take()) {
      this.#begin([request, response])
      return
    }
    this.#waiting.push([request, response])
    this.#isHeld = true
    this.socket.pause()
    if (this.#isReady()) this.turns.await(this)
  }

  /** @returns whether a further one may begin */
  beginNext(): boolean {
    if (this.socket.destroyed || this.socket.writableEnded) this.#waiting.length = 0 // nobody would have their answers
    const next = this.#waiting.shift()
    if (next !== undefined) this.#begin(next)
    if (this.#waiting.length === 0) this.#release()
    return this.#isReady()
  }

  #isReady(): boolean {
    return this.#waiting.length > 0 && this.#unanswered < MAX_UNANSWERED
  }

  #begin([request, response]: Pair): void {
    this.#unanswered += 1
    response.once('close', () => {
      this.#unanswered -= 1
      if (this.#isReady()) this.turns.await(this)
    })
    void this.listener(request, response)
  }

  /** A request whose body is still to come is the last one that was read: it has begun by now. */
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
