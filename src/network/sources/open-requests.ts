import type { Socket } from 'node:net'
import { sourceOf } from './source-address.js'
import { SourceCooldown } from './source-cooldown.js'

/** Pipelined requests of one connection that have no answer yet; beyond, it is closed. Each holds some 3 KB. */
export const MAX_OPEN_REQUESTS = 512
/** The same for the connections of one source; beyond, those with more than a few are closed. */
export const MAX_OPEN_REQUESTS_OF_SOURCE = 2_048
/** The same for all connections of a listener; beyond, those of the source with the most are closed. */
export const MAX_OPEN_REQUESTS_OF_LISTENER = 16_384
/** The bound of each connection for a while after one of its source was closed. */
export const FEW_OPEN_REQUESTS = 4
const OVER_MS = 10_000

interface Source {
  readonly name: string
  readonly connections: Set<OpenOfConnection>
  open: number
}

interface OpenOfConnection {
  readonly source: Source
  readonly end: () => void
  open: number
  hasEnded: boolean
}

/** The count of a connection. */
export interface OpenCount {
  /** @returns whether there may be one more; when not, the connection has ended */
  add(): boolean
  /** Takes off one that was answered. */
  remove(): void
}

/**
 * Counts the pipelined requests that have no answer yet: Node makes objects of all that it has read, whether or not we
 * begin them, and a caller that takes no answers could have it make any number of them.
 */
export class OpenRequests {
  readonly #sources = new Map<string, Source>()
  readonly #over = new SourceCooldown(() => undefined)
  #open = 0

  /** @param onEnd called for a source of which connections were closed; `isOver`: not the first ones, or it had too many in all */
  constructor(private readonly onEnd: (source: string, isOver: boolean) => void) {}

  /** @param end destroys the connection */
  of(socket: Socket, end: () => void): OpenCount {
    const source = this.#sourceOf(sourceOf(socket.remoteAddress ?? ''))
    const connection = { source, end, open: 0, hasEnded: false }
    source.connections.add(connection)
    socket.once('close', () => this.#forget(connection))
    return { add: () => this.#add(connection), remove: () => this.#change(connection, -1) }
  }

  #sourceOf(name: string): Source {
    const source = this.#sources.get(name) ?? { name, connections: new Set(), open: 0 }
    this.#sources.set(name, source)
    return source
  }

  #change(connection: OpenOfConnection, by: number): void {
    if (connection.hasEnded) return
    connection.open += by
    connection.source.open += by
    this.#open += by
  }

  #add(connection: OpenOfConnection): boolean {
    this.#change(connection, 1)
    const { source } = connection
    const isOver = this.#over.has(source.name)
    if (connection.open > (isOver ? FEW_OPEN_REQUESTS : MAX_OPEN_REQUESTS)) {
      this.#end(connection)
      this.#over.begin(source.name, OVER_MS) // what was read has cost its time, and the next one may bring as much
      this.onEnd(source.name, isOver)
    }
    if (source.open > MAX_OPEN_REQUESTS_OF_SOURCE)
      this.#relieve(source, () => source.open <= MAX_OPEN_REQUESTS_OF_SOURCE)
    if (this.#open > MAX_OPEN_REQUESTS_OF_LISTENER)
      this.#relieve(this.#largest(source), () => this.#open <= MAX_OPEN_REQUESTS_OF_LISTENER)
    return !connection.hasEnded
  }

  #largest(largest: Source): Source {
    for (const source of this.#sources.values()) if (source.open > largest.open) largest = source
    return largest
  }

  #relieve(source: Source, isEnough: () => boolean): void {
    this.#over.begin(source.name, OVER_MS)
    for (const connection of source.connections) if (connection.open > FEW_OPEN_REQUESTS) this.#end(connection)
    if (!isEnough()) for (const connection of source.connections) if (connection.open > 0) this.#end(connection)
    this.onEnd(source.name, true)
  }

  #end(connection: OpenOfConnection): void {
    this.#forget(connection)
    connection.end()
  }

  #forget(connection: OpenOfConnection): void {
    if (connection.hasEnded) return
    this.#change(connection, -connection.open)
    connection.hasEnded = true
    const { source } = connection
    source.connections.delete(connection)
    if (source.connections.size === 0) this.#sources.delete(source.name)
  }
}
