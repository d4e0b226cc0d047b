import type { Socket } from 'node:net'
import type { Stopwatch } from './stopwatch.js'

/**
 * Handshakes under way of a source of which one has cost little. As many as there are slots: thousands of devices may
 * share an address, each handshake waits for a caller far away, and the first costly one ends the others.
 */
const MAX_OF_USUAL_SOURCE = 16
/** The number of cheap handshakes in turn, after a costly one, until their source is a usual one again. */
const CHEAP_AFTER_COSTLY = 16
/** The bytes behind the ClientHello of a caller that shuts down, refuses our certificate or has none. */
export const SHORT_FLIGHT_BYTES = 512
/** Sources of which it is known what their handshakes cost. The oldest ones are forgotten. */
const MAX_JUDGED_SOURCES = 20_000

/** The outcome of a handshake; `given-up`: by us, before its caller had sent what could cost anything. */
export type Outcome = 'cheap' | 'costly' | 'failed' | 'given-up'

/** A handshake of which it is not known yet what it costs. */
export interface Unjudged {
  readonly socket: Socket
  readonly source: string
  readonly atMs: number
  readonly busyBeforeMs: number
  /** The time of TLS for the ClientHello. */
  readonly hello: Stopwatch
  /** The time of TLS for what came after it. */
  readonly flight: Stopwatch
  /** The bytes that the caller had sent when it began. */
  readonly bytesBefore: number
  /** The bytes after the ClientHello that were read for TLS. */
  readBytes: number
}

/** The bytes that its caller has sent after the ClientHello. */
export function sentBytesOf({ socket, bytesBefore, readBytes }: Unjudged): number {
  return socket.bytesRead - bytesBefore + readBytes
}

/** Whether its caller has sent nothing after the ClientHello that could be costly to verify. */
export function isSilent(handshake: Unjudged): boolean {
  return sentBytesOf(handshake) <= SHORT_FLIGHT_BYTES
}

/**
 * The handshakes that have begun and not ended. The cost of a handshake shows only afterwards, so a source may begin
 * one meanwhile, and some more once one has cost little. One whose caller keeps silent does not count for long:
 * whoever shares its address would wait for it.
 */
export class UnjudgedHandshakes {
  readonly #bySocket = new Map<Socket, Unjudged>()
  readonly #bySource = new Map<string, Set<Unjudged>>()
  /** How many have to cost little until a source is a usual one: for those of which it is not one. */
  readonly #cheapNeeded = new Map<string, number>()

  /** @param silentMs how long a silent one counts while its source may have one alone */
  constructor(private readonly silentMs: number) {}

  isFull(source: string): boolean {
    const underWay = this.#bySource.get(source)
    if (underWay === undefined) return false
    if (underWay.size >= MAX_OF_USUAL_SOURCE) return true
    if (this.isUsual(source)) return false
    const silentSince = performance.now() - this.silentMs
    return [...underWay].some(handshake => handshake.atMs > silentSince || !isSilent(handshake))
  }

  /** Whether a handshake of a source has cost little, and no costly one came since. */
  isUsual(source: string): boolean {
    return this.#cheapNeeded.get(source) === 0
  }

  begin(handshake: Unjudged): void {
    const { source, socket } = handshake
    this.#bySocket.set(socket, handshake)
    this.#bySource.set(source, (this.#bySource.get(source) ?? new Set()).add(handshake))
  }

  get(socket: Socket): Unjudged | undefined {
    return this.#bySocket.get(socket)
  }

  /** The handshakes of a source, the oldest first. */
  of(source: string): Iterable<Unjudged> {
    return this.#bySource.get(source) ?? []
  }

  /** The one of a source that takes longest. */
  oldestOf(source: string): Unjudged | undefined {
    return this.#bySource.get(source)?.values().next().value
  }

  end(socket: Socket, outcome: Outcome): void {
    const handshake = this.#bySocket.get(socket)
    if (handshake === undefined) return
    const { source } = handshake
    this.#bySocket.delete(socket)
    const others = this.#bySource.get(source)
    others?.delete(handshake)
    if (others?.size === 0) this.#bySource.delete(source)
    this.#note(source, outcome)
  }

  #note(source: string, outcome: Outcome): void {
    if (outcome === 'given-up') return
    const before = this.#cheapNeeded.get(source) ?? 1
    const needed = { cheap: Math.max(0, before - 1), failed: Math.max(1, before), costly: CHEAP_AFTER_COSTLY }[outcome]
    this.#cheapNeeded.delete(source)
    if (needed !== 1) this.#cheapNeeded.set(source, needed)
    const [oldest] = this.#cheapNeeded.keys()
    if (oldest !== undefined && this.#cheapNeeded.size > MAX_JUDGED_SOURCES) this.#cheapNeeded.delete(oldest)
  }
}
