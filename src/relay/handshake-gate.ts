import type { Server as HttpsServer } from 'node:https'
import { createServer, type Server, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { sourceOf } from '../values/source-address.js'
import { SourceQueue } from '../values/source-queue.js'
import { SourceRest } from '../values/source-rest.js'
import { isWholeHello } from './client-hello.js'
import type { PresentedCertificate } from './presented-certificate.js'

/**
 * TLS handshakes at once. Each takes about a millisecond of the event loop, and it takes all that are ready in one
 * turn: when thousands of links come back at the same moment, requests of others would wait for seconds.
 */
const MAX_HANDSHAKES = 16
/** A handshake that takes longer keeps nobody else out: it is the event loop that is shared here. */
const TURN_MS = 100
/** Connections that have not sent a whole ClientHello. Beyond, the oldest of the source with the most of them makes room. */
export const MAX_SILENT = 1_024
/** Younger ones are left alone: their ClientHello may be there, and only not be read yet. */
const SILENT_GRACE_MS = 2_000

/**
 * After a handshake that failed, or that had a costly certificate to verify, its source begins no further one for so many
 * times as long as the event loop was busy meanwhile: what one source makes us verify takes a fifth of the time at most.
 */
const REST_FACTOR = 4
const MAX_REST_MS = 10_000
/** Sources of neighbours, which never rest. The oldest ones are forgotten. */
const MAX_NEIGHBOURS = 20_000

export interface HandshakeGateOptions {
  /** How long a connection may take to send its ClientHello. @default 10,000 */
  readonly helloLimitMs?: number
  /** How long a handshake may hold a slot. @default 100 */
  readonly turnMs?: number
  readonly graceMs?: number
  /** @default nothing is known of any */
  readonly judge?: (socket: TLSSocket) => PresentedCertificate
  /** How long a source rests after a handshake during which the event loop was busy for `busyMs`. */
  readonly restMs?: (busyMs: number) => number
}

/** A handshake that has begun. */
interface Begun {
  readonly source: string
  readonly busyBeforeMs: number
}

/**
 * A TCP server in front of a TLS one that lets connections begin their handshake a few at a time: once they have sent
 * a whole ClientHello, and in turn among the sources that they come from. So neither silence nor a crowd from one
 * address keeps others waiting, and what is costly to verify gets a share of the time. It is this one that listens and
 * is closed; what waits at its closing is dropped.
 */
export function createHandshakeGate(tls: HttpsServer, options: HandshakeGateOptions = {}): Server {
  const { helloLimitMs = 10_000, turnMs = TURN_MS, graceMs = SILENT_GRACE_MS } = options
  const { judge = () => 'usual', restMs = busyMs => Math.min(MAX_REST_MS, REST_FACTOR * busyMs) } = options
  const silent = new SourceQueue<Socket>()
  const waiting = new SourceQueue<Socket>()
  const resting = new SourceQueue<Socket>()
  const neighbours = new Set<string>()
  const rest = new SourceRest(source => {
    for (const socket of resting.takeAll(source)) waiting.add(source, socket)
    admit()
  })
  const since = new WeakMap<Socket, number>()
  /** By the caller's address and port. */
  const begun = new Map<string, Begun>()
  /** By the caller's address and port. */
  const shaking = new Map<string, Socket>()

  const server = createServer({ noDelay: true, allowHalfOpen: true }, socket => {
    const source = sourceOf(socket.remoteAddress ?? '')
    const name = nameOf(socket)
    socket.once('error', () => socket.destroy())
    socket.once('close', () => {
      silent.delete(source, socket)
      waiting.delete(source, socket)
      resting.delete(source, socket)
      if (begun.has(name)) end(name, true) // it failed
      if (shaking.get(name) === socket) leave(name)
    })
    silent.add(source, socket)
    since.set(socket, performance.now())
    makeRoom()
    awaitHello(socket, helloLimitMs, () => {
      silent.delete(source, socket)
      if (rest.has(source)) resting.add(source, socket)
      else waiting.add(source, socket)
      admit()
    })
  })

  function makeRoom(): void {
    if (silent.size <= MAX_SILENT) return
    const oldest = silent.oldestOfLargest()
    if (oldest !== undefined && performance.now() - (since.get(oldest) ?? 0) >= graceMs) oldest.destroy()
  }

  function admit(): void {
    while (shaking.size < MAX_HANDSHAKES) {
      const socket = waiting.next()
      if (socket === undefined) return
      const name = nameOf(socket)
      shaking.set(name, socket)
      begun.set(name, { source: sourceOf(socket.remoteAddress ?? ''), busyBeforeMs: busyMs() })
      setTimeout(() => {
        if (shaking.get(name) === socket) leave(name)
      }, turnMs).unref()
      // A caller that shuts down its sending side gets its answers, but no handshake can end without it.
      socket.allowHalfOpen = false
      tls.emit('connection', socket)
    }
  }

  function leave(name: string): void {
    if (shaking.delete(name)) setImmediate(admit) // others have their turn first
  }

  /** @param isCostly whether its source is to rest */
  function end(name: string, isCostly: boolean): void {
    const handshake = begun.get(name)
    begun.delete(name)
    leave(name)
    if (handshake === undefined || !isCostly || neighbours.has(handshake.source)) return
    const { source, busyBeforeMs } = handshake
    rest.begin(source, restMs(busyMs() - busyBeforeMs))
    for (const socket of waiting.takeAll(source)) resting.add(source, socket)
  }

  function shaken(socket: TLSSocket): void {
    socket.allowHalfOpen = true
    const name = nameOf(socket)
    const certificate = judge(socket)
    const source = begun.get(name)?.source
    if (certificate === 'known' && source !== undefined) noteNeighbour(source)
    end(name, certificate === 'costly')
  }

  function noteNeighbour(source: string): void {
    neighbours.delete(source)
    neighbours.add(source)
    const [oldest] = neighbours
    if (oldest !== undefined && neighbours.size > MAX_NEIGHBOURS) neighbours.delete(oldest)
    rest.end(source)
  }

  // Only then does Node begin to look for requests whose headers do not come (`headersTimeout`).
  server.on('listening', () => tls.emit('listening'))
  tls.on('secureConnection', shaken)
  server.on('close', () => {
    for (const socket of [...silent, ...waiting, ...resting]) socket.destroy()
  })
  return server
}

/** Calls `onHello` once the whole ClientHello is there; it stays in the socket, for TLS to read. */
function awaitHello(socket: Socket, limitMs: number, onHello: () => void): void {
  let seen = Buffer.alloc(0)
  const timer = setTimeout(() => socket.destroy(), limitMs).unref()
  const stop = () => {
    clearTimeout(timer)
    socket.off('readable', read)
    socket.off('end', end)
  }
  const read = () => {
    for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read()) {
      seen = Buffer.concat([seen, chunk])
    }
    if (!isWholeHello(seen)) return
    stop()
    socket.unshift(seen)
    onHello()
  }
  const end = () => socket.destroy()
  socket.on('readable', read)
  socket.once('end', end)
  socket.once('close', stop)
}

/** How long the event loop was busy, in all. */
function busyMs(): number {
  return performance.eventLoopUtilization().active
}

function nameOf({ remoteAddress = '', remotePort = 0 }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
