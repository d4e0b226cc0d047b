import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { SourceQueue } from '../../../network/sources/source-queue.js'
import { type RawHandle, rawHandleOf, readNow, type TlsHandle, tlsHandleOf } from '../../../network/tls/raw-handles.js'
import type { Unjudged } from './unjudged-handshakes.js'

/** The bytes behind the ClientHello of a caller with a usual certificate. At worst they take some 20 ms to verify. */
export const USUAL_FLIGHT_BYTES = 4_096
/** All that can be verified is read at once: OpenSSL takes 100 KiB of certificates. */
const MAX_READ_BYTES = 128 * 1024
/** The factor of the pause after a large flight: all of them together take a fifth of the time. */
const REST_FACTOR = 4
/** The time after which others have their turn, when many flights have come. */
const TURN_MS = 10
/** A flight is looked for after so small a part of the time that its caller is silent: its answer comes that much later. */
const LOOKS = 8

interface Flight {
  readonly handshake: Unjudged
  readonly raw: RawHandle
  readonly tls: TlsHandle
  silentSinceMs: number
  timer?: NodeJS.Timeout
}

/**
 * Reads for TLS what callers send after their ClientHello, until the handshake has ended. TLS itself verifies whatever
 * has come, of all callers in one go: a chain of certificates may take 350 ms, and callers with many addresses can
 * send one from each at the same moment. Here, what is longer than usual waits: one flight is verified at a time, in
 * turn among the sources, and after each there is a pause that depends on its cost. Others do not wait for that.
 */
export class ClientFlights {
  readonly #flights = new Map<Socket, Flight>()
  readonly #due = new SourceQueue<Flight>()
  readonly #large = new SourceQueue<Flight>()
  readonly #buffer = Buffer.allocUnsafeSlow(MAX_READ_BYTES)
  #isReading = false
  #isResting = false

  /** @param restMs how long large flights wait after one that took so long */
  constructor(private readonly restMs: (costMs: number) => number) {}

  /** Takes over from TLS, which has answered the ClientHello; harmless when it has already. */
  take(handshake: Unjudged, connection: TLSSocket): void {
    const { socket } = handshake
    if (this.#flights.has(socket)) return
    const [raw, tls] = [rawHandleOf(socket), tlsHandleOf(connection)]
    if (raw === undefined || tls === undefined) return
    const flight = { handshake, raw, tls, silentSinceMs: performance.now() }
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
    this.#due.delete(source, flight)
    this.#large.delete(source, flight)
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
      this.#readSoon()
    }, ms).unref()
  }

  #readSoon(): void {
    if (this.#isReading || (this.#due.size === 0 && (this.#isResting || this.#large.size === 0))) return
    this.#isReading = true
    setImmediate(() => {
      this.#readDue()
      if (!this.#isResting) this.#readLarge()
      this.#isReading = false
      this.#readSoon()
    })
  }

  #readDue(): void {
    const endMs = performance.now() + TURN_MS
    for (let flight = this.#due.next(); flight !== undefined; flight = this.#due.next()) {
      this.#read(flight, USUAL_FLIGHT_BYTES - flight.handshake.readBytes)
      if (performance.now() >= endMs) return
    }
  }

  #readLarge(): void {
    const flight = this.#large.next()
    if (flight === undefined) return
    const beforeMs = performance.now()
    this.#read(flight, MAX_READ_BYTES)
    this.#isResting = true
    const rested = () => {
      this.#isResting = false
      this.#readSoon()
    }
    setTimeout(rested, this.restMs(performance.now() - beforeMs)).unref()
  }

  /** Passes on what has come, of so many bytes. */
  #read(flight: Flight, maxBytes: number): void {
    if (!this.#isUnderWay(flight)) return
    const bytes = readNow(flight.raw, this.#buffer, maxBytes)
    if (bytes === 'gone') {
      this.end(flight.handshake.socket) // TLS finds out itself
      return
    }
    if (bytes !== undefined) {
      flight.handshake.readBytes += bytes.length
      flight.silentSinceMs = performance.now()
      flight.tls.receive(bytes)
    }
    this.#lookLater(flight)
  }
}

/** How long large flights wait after one that took so long to verify. */
export function restAfterLarge(costMs: number): number {
  return REST_FACTOR * costMs
}
