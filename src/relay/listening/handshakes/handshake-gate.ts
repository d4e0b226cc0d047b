import type { EventEmitter } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { onCostlySource } from '../../../network/sources/costly-source.js'
import { sourceOf } from '../../../network/sources/source-address.js'
import { SourceCooldown } from '../../../network/sources/source-cooldown.js'
import { SourceQueue } from '../../../network/sources/source-queue.js'
import { rawSocketOf } from '../raw-socket.js'
import { ClientFlights, COSTLY_FLIGHT_MS, restAfterLarge, restAfterNew, USUAL_FLIGHT_BYTES } from './client-flights.js'
import { awaitHello } from './client-hello.js'
import { IdleBytes, type IdleBytesOptions } from './idle-bytes.js'
import type { PresentedCertificate } from './presented-certificate.js'
import { Stopwatch } from './stopwatch.js'
import { isSilent, type Outcome, SHORT_FLIGHT_BYTES, sentBytesOf, UnjudgedHandshakes } from './unjudged-handshakes.js'

/**
 * TLS handshakes at once. Each takes about a millisecond of the event loop, and it takes all that are ready in one
 * turn: when thousands of links come back at the same moment, requests of others would wait for seconds.
 */
const MAX_HANDSHAKES = 16
/** The time that ClientHellos may take in one turn of the event loop: with a key of RSA, each takes some milliseconds. */
const MAX_HELLOS_MS = 10
/** A handshake that takes longer keeps nobody else out: it is the event loop that is shared here. */
const TURN_MS = 25
/** The time after which a handshake is given up when others of the same source wait for it. */
const PATIENCE_MS = 2_000
/** The factor by which a handshake is given up sooner when more of its source wait than may be under way. */
const HASTE = 4
const MANY_WAITING = 16
/** The silence after which a handshake no longer keeps others of its source from beginning theirs. */
const SILENT_HANDSHAKE_MS = 125
/** The time by which timers may be early. */
const TIMER_ERROR_MS = 1
/** Connections that have not sent a whole ClientHello. Beyond, the oldest of the source with the most of them makes room. */
export const MAX_SILENT = 1_024
/** Younger ones are left alone: their ClientHello may be there, and only not be read yet. */
const SILENT_GRACE_MS = 2_000

/**
 * The factor of a source's rest. After a handshake that failed, or that had a costly certificate to verify, its
 * source begins no further one for so many times as long as the event loop was busy meanwhile: what one source makes
 * us verify takes a fifth of the time at most.
 */
const REST_FACTOR = 4
const MAX_REST_MS = 10_000
/** When the caller sent too little for a costly certificate: whoever shares its address with a faulty device goes on soon. */
const MAX_SHORT_REST_MS = 100

export interface HandshakeGateOptions {
  /** How long a connection may take to send its ClientHello. @default 10,000 */
  readonly helloLimitMs?: number
  /** How long a handshake may hold a slot. @default 25 */
  readonly turnMs?: number
  /** How long a handshake may keep others of its source waiting. @default 2,000 */
  readonly patienceMs?: number
  /** How long one whose caller is silent counts as the only one that its source may begin. @default 125 */
  readonly silentMs?: number
  readonly graceMs?: number
  /** @default nothing is known of any */
  readonly judge?: (socket: TLSSocket) => PresentedCertificate
  /** How long a source rests after a handshake with `sentBytes` after the ClientHello, while the event loop was busy for `busyMs`. */
  readonly restMs?: (busyMs: number, sentBytes: number) => number
  /** How long a source rests, besides, after a handshake that failed and whose ClientHello took so long. */
  readonly helloRestMs?: (costMs: number) => number
  /** How long longer flights than usual of all sources wait after one that took so long to verify. */
  readonly largeRestMs?: (costMs: number) => number
  /** How long usual flights of all sources that are new wait after one that took so long to verify. */
  readonly newRestMs?: (costMs: number) => number
  /** When connections are closed that bring nothing on. */
  readonly idleBytes?: IdleBytesOptions
  /** Called when that has happened to connections of a source. */
  readonly onIdle?: (source: string) => void
}

const DEFAULTS = {
  helloLimitMs: 10_000,
  turnMs: TURN_MS,
  patienceMs: PATIENCE_MS,
  silentMs: SILENT_HANDSHAKE_MS,
  graceMs: SILENT_GRACE_MS,
  judge: (): PresentedCertificate => 'usual',
  restMs: usualRestMs,
  helloRestMs: (costMs: number) => REST_FACTOR * costMs,
  largeRestMs: restAfterLarge,
  newRestMs: restAfterNew
}

/**
 * A TCP server in front of a TLS one that lets connections begin their handshake a few at a time: once they have sent
 * a whole ClientHello, and in turn among the sources that they come from. So neither silence nor a crowd from one
 * address keeps others waiting, and what is costly to verify gets a share of the time: no address exempts from that, as
 * many may share it. It is this one that listens and is closed; what waits at its closing is dropped.
 * @param tls a TLS server, or an HTTPS one
 */
export function createHandshakeGate(tls: EventEmitter, options: HandshakeGateOptions = {}): Server {
  const gate = new HandshakeGate(tls, options)
  const server = createServer({ noDelay: true, allowHalfOpen: true }, socket => gate.take(socket))
  // Only then does Node begin to look for requests whose headers do not come (`headersTimeout`).
  server.on('listening', () => tls.emit('listening'))
  server.on('close', () => gate.close())
  return server
}

class HandshakeGate {
  readonly #silent = new SourceQueue<Socket>()
  readonly #waiting = new SourceQueue<Socket>()
  /** The handshakes of sources that rest, or have as many under way as they may. */
  readonly #held = new SourceQueue<Socket>()
  readonly #since = new WeakMap<Socket, number>()
  /** Handshakes that hold a slot. */
  readonly #shaking = new Set<Socket>()
  #isBeginning = false
  /** The time that ClientHellos have taken in this turn of the event loop. */
  #hellosMs = 0
  readonly #unjudged: UnjudgedHandshakes
  readonly #flights: ClientFlights
  readonly #rest: SourceCooldown
  readonly #idleBytes: IdleBytes
  readonly #options: Required<Omit<HandshakeGateOptions, 'idleBytes' | 'onIdle'>>

  constructor(
    private readonly tls: EventEmitter,
    { idleBytes, onIdle, ...options }: HandshakeGateOptions
  ) {
    this.#options = { ...DEFAULTS, ...options }
    this.#unjudged = new UnjudgedHandshakes(this.#options.silentMs - TIMER_ERROR_MS)
    const { largeRestMs, newRestMs } = this.#options
    this.#flights = new ClientFlights({ isUsual: source => this.#unjudged.isUsual(source), largeRestMs, newRestMs })
    this.#rest = new SourceCooldown(this.#goOn)
    this.#idleBytes = new IdleBytes(source => {
      this.#endIdle(source)
      onIdle?.(source)
    }, idleBytes)
    onCostlySource(tls, ({ source, isOver }) => isOver && this.#endIdle(source))
    // The only event of Node that names the connection before its caller has shown a certificate: the keys are not used.
    tls.on('keylog', (_keys: Buffer, socket: TLSSocket) => this.#answered(socket))
    tls.on('secureConnection', (socket: TLSSocket) => this.#shaken(socket))
    tls.on('tlsClientError', (_error: Error, socket: TLSSocket) => this.#end(rawSocketOf(socket), 'failed'))
  }

  /** Takes a connection in, which has sent nothing yet. */
  take(socket: Socket): void {
    const source = sourceOf(socket.remoteAddress ?? '')
    socket.once('error', () => socket.destroy())
    socket.once('close', () => this.#forget(source, socket))
    this.#silent.add(source, socket)
    this.#since.set(socket, performance.now())
    this.#makeRoom()
    awaitHello(socket, this.#options.helloLimitMs, () => {
      this.#silent.delete(source, socket)
      this.#held.add(source, socket)
      this.#goOn(source)
    })
  }

  /** Drops the connections that wait. */
  close(): void {
    this.#idleBytes.close()
    for (const socket of [...this.#silent, ...this.#waiting, ...this.#held]) socket.destroy()
  }

  #forget(source: string, socket: Socket): void {
    this.#silent.delete(source, socket)
    this.#waiting.delete(source, socket)
    this.#held.delete(source, socket)
    this.#end(socket, 'failed')
  }

  #makeRoom(): void {
    if (this.#silent.size <= MAX_SILENT) return
    const oldest = this.#silent.oldestOfLargest()
    if (oldest === undefined) return
    if (performance.now() - (this.#since.get(oldest) ?? 0) >= this.#options.graceMs) oldest.destroy()
  }

  #mayBegin(source: string): boolean {
    return !this.#rest.has(source) && !this.#unjudged.isFull(source)
  }

  #release(source: string): void {
    if (this.#mayBegin(source)) this.#held.moveAll(source, this.#waiting)
  }

  readonly #goOn = (source: string): void => {
    this.#release(source)
    this.#giveUpOldest(source)
    this.#admit()
  }

  readonly #admit = (): void => {
    if (this.#isBeginning || this.#shaking.size >= MAX_HANDSHAKES) return
    const socket = this.#waiting.next()
    if (socket === undefined) return
    this.#isBeginning = true
    this.#begin(sourceOf(socket.remoteAddress ?? ''), socket)
  }

  #admitNext(helloMs: number): void {
    const goOn = () => {
      this.#isBeginning = false
      this.#admit()
    }
    if (this.#hellosMs === 0) setImmediate(() => (this.#hellosMs = 0))
    this.#hellosMs += helloMs
    if (this.#hellosMs < MAX_HELLOS_MS) goOn()
    else setImmediate(goOn)
  }

  #begin(source: string, socket: Socket): void {
    const { turnMs, silentMs, patienceMs } = this.#options
    this.#shaking.add(socket)
    const bytesBefore = socket.bytesRead
    const [atMs, busyBeforeMs] = [performance.now(), busyMs()]
    const times = { atMs, busyBeforeMs, hello: new Stopwatch(), flight: new Stopwatch() }
    this.#unjudged.begin({ socket, source, bytesBefore, readBytes: 0, ...times })
    if (!this.#mayBegin(source)) this.#waiting.moveAll(source, this.#held)
    setTimeout(() => this.#leave(socket), turnMs).unref()
    // What came meanwhile is read before the next immediate: the event loop may have been late itself.
    for (const ms of [silentMs, patienceMs / HASTE, patienceMs])
      setTimeout(() => setImmediate(this.#goOn, source), ms).unref()
    // A caller that shuts down its sending side gets its answers, but no handshake can end without it.
    socket.allowHalfOpen = false
    times.hello.measureNextTick(
      () => this.tls.emit('connection', socket),
      () => this.#admitNext(times.hello.ms)
    )
  }

  /**
   * Gives up the oldest handshake of a source, or one device that went away amid its handshake would keep all those
   * waiting that share its address.
   */
  #giveUpOldest(source: string): void {
    const { patienceMs } = this.#options
    if (this.#rest.has(source) || this.#held.countOf(source) === 0) return
    const oldest = this.#unjudged.oldestOf(source)
    const limitMs = this.#held.countOf(source) > MANY_WAITING ? patienceMs / HASTE : patienceMs
    if (oldest === undefined || performance.now() - oldest.atMs < limitMs - TIMER_ERROR_MS) return
    // It is no fault of the source's others, and has cost next to nothing.
    if (isSilent(oldest)) this.#end(oldest.socket, 'given-up')
    oldest.socket.destroy()
  }

  #leave(socket: Socket): void {
    if (this.#shaking.delete(socket)) setImmediate(this.#admit) // others have their turn first
  }

  #answered(socket: TLSSocket): void {
    const handshake = this.#unjudged.get(rawSocketOf(socket))
    if (handshake !== undefined) this.#flights.take(handshake, socket)
  }

  #shaken(socket: TLSSocket): void {
    socket.allowHalfOpen = true
    const raw = rawSocketOf(socket)
    const handshake = this.#unjudged.get(raw)
    if (handshake !== undefined) this.#idleBytes.watch(handshake.source, handshake.socket, socket)
    this.#end(raw, this.#options.judge(socket) === 'costly' ? 'costly' : 'cheap')
  }

  /** Ends a handshake. After one that did not cost little its source rests. */
  #end(socket: Socket, outcome: Outcome): void {
    const handshake = this.#unjudged.get(socket)
    this.#leave(socket)
    if (handshake === undefined) return
    this.#flights.end(socket)
    const { source, busyBeforeMs, hello, flight } = handshake
    const sentBytes = sentBytesOf(handshake)
    const tookLong = sentBytes > SHORT_FLIGHT_BYTES && flight.ms >= COSTLY_FLIGHT_MS
    const isCostly = outcome === 'costly' || (outcome === 'failed' && (sentBytes > USUAL_FLIGHT_BYTES || tookLong))
    this.#unjudged.end(socket, isCostly ? 'costly' : outcome)
    // At once: what they sent may be there as well, and TLS would verify it next.
    if (isCostly) for (const other of this.#unjudged.of(source)) other.socket.destroy()
    if (isCostly || outcome === 'failed') {
      this.#rest.begin(source, this.#options.restMs(busyMs() - busyBeforeMs, sentBytes))
    }
    // Whoever sends a recorded ClientHello again and again never comes as far as a certificate.
    if (outcome === 'failed') this.#rest.extend(source, this.#options.helloRestMs(hello.ms), MAX_REST_MS)
    if (this.#mayBegin(source)) this.#release(source)
    else this.#waiting.moveAll(source, this.#held)
    setImmediate(this.#admit)
  }

  /** Makes a source rest that sent bytes in vain: they used the event loop as handshakes would. */
  #endIdle(source: string): void {
    this.#rest.begin(source, MAX_REST_MS)
    this.#waiting.moveAll(source, this.#held)
  }
}

/** How long a source rests after a handshake that failed or was costly. */
export function usualRestMs(busyMs: number, sentBytes: number): number {
  return Math.min(sentBytes > SHORT_FLIGHT_BYTES ? MAX_REST_MS : MAX_SHORT_REST_MS, REST_FACTOR * busyMs)
}

/** How long the event loop was busy, in all. */
function busyMs(): number {
  return performance.eventLoopUtilization().active
}
