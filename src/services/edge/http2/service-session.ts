import { type ClientHttp2Session, connect } from 'node:http2'
import { type ConnectionOptions, TLSSocket } from 'node:tls'
import { errorCode, errorMessage } from '../../../values/failures/system-error.js'
import { openServiceSocket, type ServiceAddress } from '../service-sockets.js'
import { errorCodeName } from './error-codes.js'

/** A stream that wants to begin. */
export interface SessionUser {
  /** Called in this turn where the connection stands, else once it does. */
  onReady(session: ClientHttp2Session): void
  /** Called in place of `onReady` where the service allows fewer requests than wait: it is to enter another connection. */
  onCrowded(): void
  /** Called in a later turn when there is no connection. */
  onUnreachable(reason: string): void
}

/** Requests at once on one connection, where the service allows more. */
const MAX_STREAMS_OF_SESSION = 1_000
/** The requests for which a connection has room before the service has told its bound (RFC 9113, 6.5.2). */
const STREAMS_AT_FIRST = 100
/** The time for which a connection without a request is kept. */
const UNUSED_LIMIT_MS = 60_000
/** The silence after which the system asks whether the service is still there. */
const PROBE_AFTER_MS = 60_000
/** Servers of gRPC end connections on which PING comes more often than every 5 minutes. */
const PING_EVERY_MS = 310_000
/** The time for the answer to a PING. */
const PING_LIMIT_MS = 20_000
/** The bytes of all answers of a connection that may be on their way. They count when they come, not when they are passed on. */
const SESSION_WINDOW_BYTES = 4 * 1024 * 1024

const OPTIONS = {
  maxHeaderListPairs: 1_000,
  maxSendHeaderBlockLength: 256 * 1024,
  settings: { enablePush: false, initialWindowSize: 256 * 1024, maxHeaderListSize: 128 * 1024 }
}

/** One connection to a service in HTTP/2, for many requests at once. */
export class ServiceSession {
  /** Whether an answer came on it. */
  hasAnswered = false
  #session: ClientHttp2Session | undefined
  #isReady = false
  #isRetired = false
  #failure: string | undefined
  #open = 0
  readonly #waiting = new Set<SessionUser>()
  #unused: NodeJS.Timeout | undefined
  #ping: NodeJS.Timeout | undefined
  readonly #end: (reason: string) => void

  constructor(
    { host, port, isTls }: ServiceAddress,
    tls: ConnectionOptions,
    private readonly onClosed: () => void
  ) {
    const { socket, connected, isInTime } = openServiceSocket({ host, port, isTls }, tls, ['h2'])
    this.#end = reason => {
      this.#failure ??= reason
      socket.destroy()
    }
    socket.on('error', error => this.#failed(error))
    socket.once('end', () => socket.destroy()) // a half of a connection is of no use
    socket.once('close', () => this.#closed())
    socket.once(connected, () => {
      socket.setKeepAlive(true, PROBE_AFTER_MS)
      if (socket instanceof TLSSocket && socket.alpnProtocol !== 'h2') {
        this.#end('it does not take HTTP/2 over TLS (ALPN h2)')
        return
      }
      const session = connect(`${isTls ? 'https' : 'http'}://service`, { ...OPTIONS, createConnection: () => socket })
      this.#session = session
      session.setLocalWindowSize(SESSION_WINDOW_BYTES)
      session.on('error', error => this.#failed(error))
      session.on('goaway', code => {
        if (code !== 0) this.#failure ??= `it ended the connection (${errorCodeName(code)})`
      })
      session.once('close', () => socket.destroy())
      session.once('remoteSettings', () => {
        isInTime()
        this.#ready(session)
      })
    })
  }

  /** Why the connection ended, or never stood; undefined: it has not. */
  get failure(): string | undefined {
    return this.#failure
  }

  /** Whether further requests may go over it. */
  get takesMore(): boolean {
    const session = this.#session
    return !this.#isRetired && this.#failure === undefined && session?.closed !== true && session?.destroyed !== true
  }

  get hasRoom(): boolean {
    return this.takesMore && this.#open < this.#bound
  }

  /** Requests under way. */
  get count(): number {
    return this.#open
  }

  /** Takes a request in, which is to `leave`. */
  enter(user: SessionUser): void {
    this.#open += 1
    clearTimeout(this.#unused)
    if (this.#isReady && this.#session !== undefined) user.onReady(this.#session)
    else if (this.#failure !== undefined) {
      const reason = this.#failure
      process.nextTick(() => user.onUnreachable(reason))
    } else this.#waiting.add(user)
  }

  leave(user: SessionUser): void {
    this.#waiting.delete(user)
    this.#open -= 1
    if (this.#open > 0) return
    if (this.#isRetired) this.#close()
    else this.#unused = setTimeout(() => this.#close(), UNUSED_LIMIT_MS).unref()
  }

  /** Takes no further requests, and ends with the last one. */
  retire(): void {
    this.#isRetired = true
    if (this.#open === 0) this.#close()
  }

  /** Ends the connection with all requests on it. */
  breakOff(reason: string): void {
    this.#end(reason)
  }

  get #bound(): number {
    if (!this.#isReady) return STREAMS_AT_FIRST
    const told = this.#session?.remoteSettings.maxConcurrentStreams ?? MAX_STREAMS_OF_SESSION
    return Math.min(Math.max(told, 1), MAX_STREAMS_OF_SESSION)
  }

  #ready(session: ClientHttp2Session): void {
    this.#isReady = true
    this.#ping = setInterval(() => this.#ask(session), PING_EVERY_MS).unref()
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    const bound = this.#bound
    for (const [index, user] of waiting.entries()) {
      if (index < bound) user.onReady(session)
      else user.onCrowded()
    }
  }

  /** Asks a service that has requests for a sign of life. */
  #ask(session: ClientHttp2Session): void {
    if (this.#open === 0 || session.closed || session.destroyed) return
    const timer = setTimeout(() => this.#end('it gave no sign of life'), PING_LIMIT_MS).unref()
    session.ping(() => clearTimeout(timer))
  }

  #failed(error: Error): void {
    const code = errorCode(error)
    if (code?.startsWith('ERR_HTTP2') !== true) this.#failure ??= code ?? errorMessage(error)
    else this.#failure ??= this.#isReady ? error.message : `it does not speak HTTP/2: ${error.message}`
  }

  #close(): void {
    if (this.#session === undefined) this.#end('nobody waits for the connection')
    else this.#session.close()
  }

  #closed(): void {
    this.#failure ??= this.#isReady
      ? 'the service closed the connection'
      : 'it closed the connection, and spoke no HTTP/2'
    clearTimeout(this.#unused)
    clearInterval(this.#ping)
    this.onClosed()
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const user of waiting) user.onUnreachable(this.#failure)
  }
}
