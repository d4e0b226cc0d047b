import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { SourceQueue } from '../../../network/sources/source-queue.js'
import { type RawHandle, rawHandleOf, readNow, type TlsHandle, tlsHandleOf } from '../../../network/tls/raw-handles.js'
import { SHORT_FLIGHT_BYTES, type Unjudged } from './unjudged-handshakes.js'

/**
 * The bytes behind the ClientHello of a caller with a usual certificate: one of RSA with 4,096 bits takes 1,950, and ours
 * 700. At worst they take some 8 ms to verify.
 */
export const USUAL_FLIGHT_BYTES = 2_560
/** All that can be verified is read at once: OpenSSL takes 100 KiB of certificates. */
const MAX_READ_BYTES = 128 * 1024
/** The factor of the pause after a large flight: all of them together take a fifth of the time. */
const REST_FACTOR = 4
/** A flight that takes longer is costly: a usual one takes 0.2 ms, and 3 on a slow machine. */
export const COSTLY_FLIGHT_MS = 5
/** The time after which others have their turn, when many flights have come. */
const TURN_MS = 10
/** A flight is looked for after so small a part of the time that its caller is silent: its answer comes that much later. */
const LOOKS = 8

export interface FlightOptions {
  /** Whether a source has had a handshake that cost little, and no costly one since. */
  readonly isUsual: (source: string) => boolean
  /** How long large flights wait after one that took so long to verify. */
  readonly largeRestMs: (costMs: number) => number
  /** How long the flights of sources that are not usual wait after one of them that took so long. */
  readonly newRestMs: (costMs: number) => number
}

interface Flight {
  readonly handshake: Unjudged
  readonly raw: RawHandle
  readonly tls: TlsHandle
  /** The bytes that have come and not been passed on. */
  held: Buffer | undefined
  silentSinceMs: number
  timer?: NodeJS.Timeout
}

/** Flights of which one may make the others wait. */
class RestingQueue extends SourceQueue<Flight> {
  isResting = false

  get isReady(): boolean {
    return !this.isResting && this.size > 0
  }
}

/**
 * Reads for TLS what callers send after their ClientHello, until the handshake has ended. TLS itself verifies whatever
 * has come, of all callers in one go: a chain of certificates may take 350 ms, and callers with many addresses can
 * send one from each at the same moment. Nobody can tell what a flight costs before it is verified, but its length says
 * what it may cost at most. A short one has no certificate, and is passed on at once. The others have their turn, in turn
 * among the sources: first those of sources whose handshakes have cost little, then usual ones of other sources, with a
 * pause after each that was costly, and one at a time those that are longer, with a long pause.
 */
export class ClientFlights {
  readonly #flights = new Map<Socket, Flight>()
  /** The flights to be looked for. */
  readonly #due = new SourceQueue<Flight>()
  readonly #ofUsual = new SourceQueue<Flight>()
  readonly #ofNew = new RestingQueue()
  readonly #large = new RestingQueue()
  readonly #buffer = Buffer.allocUnsafeSlow(MAX_READ_BYTES)
  #isReading = false

  constructor(private readonly options: FlightOptions) {}

  /** Takes over from TLS, which has answered the ClientHello; harmless when it has already. */
  take(handshake: Unjudged, connection: TLSSocket): void {
    const { socket } = handshake
    if (this.#flights.has(socket)) return
    const [raw, tls] = [rawHandleOf(socket), tlsHandleOf(connection)]
    if (raw === undefined || tls === undefined) return
    const flight = { handshake, raw, tls, held: undefined, silentSinceMs: performance.now() }
    this.#flights.set(socket, flight)
    raw.readStop()
    // Node may begin to read once TLS has the ClientHello.
    process.nextTick(() => this.#isUnderWay(flight) && raw.readStop())
    this.#lookLater(flight)
  }

  /** Lets TLS read again. */
  end(socket: Socket): void {
    const flight = this.#flights.get(socket)
    if (flight === undefined) return
    const { source } = flight.handshake
    clearTimeout(flight.timer)
    this.#flights.delete(socket)
    for (const queue of [this.#due, this.#ofUsual, this.#ofNew, this.#large]) queue.delete(source, flight)
    if (!socket.destroyed) flight.raw.readStart()
  }

  #isUnderWay(flight: Flight): boolean {
    return this.#flights.get(flight.handshake.socket) === flight && !flight.handshake.socket.destroyed
  }

  #lookLater(flight: Flight): void {
    if (!this.#isUnderWay(flight)) return
    const ms = (performance.now() - flight.silentSinceMs) / LOOKS
    flight.timer = setTimeout(() => {
      const { source, readBytes } = flight.handshake
      if (readBytes < USUAL_FLIGHT_BYTES) this.#due.add(source, flight)
      else this.#large.add(source, flight)
      this.#goOnSoon()
    }, ms).unref()
  }

  #goOnSoon(): void {
    const isAnyReady = this.#due.size > 0 || this.#ofUsual.size > 0 || this.#ofNew.isReady || this.#large.isReady
    if (this.#isReading || !isAnyReady) return
    this.#isReading = true
    setImmediate(() => {
      takeTurn(this.#due, flight => this.#look(flight))
      takeTurn(this.#ofUsual, flight => this.#pass(flight))
      takeTurn(this.#ofNew, flight => this.#restAfter(this.#ofNew, this.options.newRestMs(this.#pass(flight))))
      if (this.#large.isReady) this.#readLarge()
      this.#isReading = false
      this.#goOnSoon()
    })
  }

  /** Reads what has come, but not more than a usual flight has, and finds when it is to be passed on. */
  #look(flight: Flight): void {
    if (!this.#read(flight, USUAL_FLIGHT_BYTES - flight.handshake.readBytes)) return
    const { source, readBytes } = flight.handshake
    if (flight.held === undefined) this.#lookLater(flight)
    else if (readBytes <= SHORT_FLIGHT_BYTES) this.#pass(flight)
    else if (readBytes >= USUAL_FLIGHT_BYTES) this.#large.add(source, flight)
    else if (this.options.isUsual(source)) this.#ofUsual.add(source, flight)
    else this.#ofNew.add(source, flight)
  }

  #readLarge(): void {
    const flight = this.#large.next()
    if (flight === undefined || !this.#read(flight, MAX_READ_BYTES)) return
    if (flight.held === undefined) {
      this.#lookLater(flight)
      return
    }
    this.#restAfter(this.#large, this.options.largeRestMs(this.#pass(flight)))
  }

  #restAfter(queue: RestingQueue, ms: number): void {
    if (ms === 0) return
    queue.isResting = true
    const rested = () => {
      queue.isResting = false
      this.#goOnSoon()
    }
    setTimeout(rested, ms).unref()
  }

  /** Reads what has come, of so many bytes. @returns whether the flight is under way still */
  #read(flight: Flight, maxBytes: number): boolean {
    if (!this.#isUnderWay(flight)) return false
    const { handshake, held } = flight
    const bytes = readNow(flight.raw, this.#buffer, maxBytes)
    if (bytes === 'gone' && held === undefined) {
      this.end(handshake.socket) // TLS finds out itself
      return false
    }
    if (bytes === undefined || bytes === 'gone') return true
    handshake.readBytes += bytes.length
    flight.silentSinceMs = performance.now()
    flight.held = held === undefined ? Buffer.from(bytes) : Buffer.concat([held, bytes])
    return true
  }

  /** Passes on what has come. @returns how long TLS took for it, in ms */
  #pass(flight: Flight): number {
    const { handshake, held, tls } = flight
    if (held === undefined || !this.#isUnderWay(flight)) return 0
    flight.held = undefined
    const beforeMs = handshake.flight.ms
    handshake.flight.measure(() => tls.receive(held))
    this.#lookLater(flight)
    return handshake.flight.ms - beforeMs
  }
}

/** Takes from a queue in turn, until enough time has passed or the queue rests. */
function takeTurn(queue: SourceQueue<Flight>, act: (flight: Flight) => void): void {
  const endMs = performance.now() + TURN_MS
  const isResting = () => queue instanceof RestingQueue && queue.isResting
  while (!isResting() && performance.now() < endMs) {
    const flight = queue.next()
    if (flight === undefined) return
    act(flight)
  }
}

/** How long large flights wait after one that took so long to verify. */
export function restAfterLarge(costMs: number): number {
  return REST_FACTOR * costMs
}

/** How long the flights of new sources wait after one that took so long: the costly ones together take half of the time. */
export function restAfterNew(costMs: number): number {
  return costMs < COSTLY_FLIGHT_MS ? 0 : costMs
}
