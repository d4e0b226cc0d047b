import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { endParsing } from '../../network/end-parsing.js'
import { sourceOf } from '../../network/sources/source-address.js'
import { hasBody } from './request-body.js'

/** The bytes in a piece of a body that pay for it. */
const BYTES_PER_PIECE = 64
/** The first pieces of a body belong to its request. */
const FREE_PIECES = 4
/** The pieces without content that a connection may be ahead; beyond, it is closed. Each takes some 7 us. */
export const MAX_IDLE_PIECES = 512
/** The same for the connections of one source; beyond, each of them that has sent more than a few is closed. */
export const MAX_IDLE_PIECES_OF_SOURCE = 4_096
const FEW_PIECES = 16
/** The pieces that are forgiven each second. */
const FORGIVEN_OF_CONNECTION = 64
const FORGIVEN_OF_SOURCE = 512
/** Sources that are remembered; beyond, the oldest are forgotten. */
const MAX_SOURCES = 20_000

/** Pieces that were not paid for. */
interface Debt {
  pieces: number
  atMs: number
}

interface Source extends Debt {
  readonly name: string
  /** The connections with a debt. */
  readonly connections: Set<Connection>
  isOver: boolean
}

interface Connection extends Debt {
  readonly socket: Socket
  readonly source: Source
}

/**
 * Counts the pieces in which the bodies of requests come to a server, against their bytes: a chunk of one byte costs as
 * much as one of 16 KiB, and a few connections could send enough of them to keep everyone else waiting. It does not
 * matter whether anybody reads the body.
 */
export class BodyPieces {
  readonly #connections = new WeakMap<Socket, Connection>()
  readonly #sources = new Map<string, Source>()

  /** @param onEnd called for a source of which a connection was closed; `isOver`: it sent too much in all */
  constructor(
    private readonly onEnd: (source: string, isOver: boolean) => void,
    private readonly now: () => number = () => performance.now()
  ) {}

  /** Counts the body of a request, of which nothing has come yet. */
  watch(request: IncomingMessage): void {
    if (!hasBody(request)) return
    const { socket } = request
    let connection = this.#connections.get(socket)
    let pieces = 0
    const push = request.push
    Object.assign(request, {
      push: (chunk: Buffer | null, encoding?: BufferEncoding): boolean => {
        if (chunk !== null) {
          pieces += 1
          connection ??= this.#open(socket)
          if (pieces > FREE_PIECES || chunk.length > BYTES_PER_PIECE)
            this.#count(connection, 1 - chunk.length / BYTES_PER_PIECE)
        }
        return push.call(request, chunk, encoding)
      },
      // Node lets its parser drop a body that nobody reads, and it would not come here.
      _dump: () => {
        request.removeAllListeners('data')
        request.resume()
      }
    })
  }

  #open(socket: Socket): Connection {
    const source = this.#sourceOf(sourceOf(socket.remoteAddress ?? ''))
    const connection = { socket, source, pieces: 0, atMs: this.now() }
    this.#connections.set(socket, connection)
    socket.once('close', () => source.connections.delete(connection))
    return connection
  }

  #sourceOf(name: string): Source {
    let source = this.#sources.get(name)
    if (source === undefined) {
      source = { name, pieces: 0, atMs: this.now(), connections: new Set(), isOver: false }
      this.#sources.set(name, source)
      const [oldest] = this.#sources.keys()
      if (oldest !== undefined && this.#sources.size > MAX_SOURCES) this.#sources.delete(oldest)
    }
    return source
  }

  #count(connection: Connection, more: number): void {
    if (connection.pieces === 0 && more <= 0) return // so it is with nearly all
    const { source, socket } = connection
    const nowMs = this.now()
    forgive(connection, FORGIVEN_OF_CONNECTION, nowMs)
    forgive(source, FORGIVEN_OF_SOURCE, nowMs)
    const change = Math.max(more, -connection.pieces)
    connection.pieces += change
    source.pieces = Math.min(Math.max(0, source.pieces + change), 2 * MAX_IDLE_PIECES_OF_SOURCE)
    if (connection.pieces === 0) source.connections.delete(connection)
    else if (!socket.destroyed) source.connections.add(connection)
    if (more > 0) this.#check(connection)
  }

  #check(connection: Connection): void {
    const { source } = connection
    if (source.pieces <= MAX_IDLE_PIECES_OF_SOURCE / 2) source.isOver = false
    if (source.pieces > MAX_IDLE_PIECES_OF_SOURCE && !source.isOver) {
      source.isOver = true
      for (const other of source.connections) if (other.pieces > FEW_PIECES) endParsing(other.socket)
      this.onEnd(source.name, true)
    } else if (connection.pieces > (source.isOver ? FEW_PIECES : MAX_IDLE_PIECES)) {
      endParsing(connection.socket)
      this.onEnd(source.name, source.isOver)
    }
  }
}

function forgive(debt: Debt, perSecond: number, nowMs: number): void {
  debt.pieces = Math.max(0, debt.pieces - ((nowMs - debt.atMs) / 1_000) * perSecond)
  debt.atMs = nowMs
}
