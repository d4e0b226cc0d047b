import type { TLSSocket } from 'node:tls'
import { type RawHandle, readNow, type TlsHandle, tcpHandleBelow, tlsHandleOf } from './raw-handles.js'

/**
 * The bytes that a server may send until the handshake ends: its certificates, its signature, and the names of the
 * issuers that it trusts. At worst they take some 90 ms to verify; OpenSSL alone takes 100 KiB of certificates.
 */
export const MAX_SERVER_FLIGHT_BYTES = 24 * 1024
/** The server's bytes are looked for after so small a part of the time that it is silent: they are taken that much later. */
const LOOKS = 8
/** Kept from the start: while a test holds the timers of a program, handshakes go on, or their sockets would stay for ever. */
const { setTimeout: callAfter, clearTimeout: stopCall } = globalThis

/** A server showed in its handshake what is too costly to verify. */
export class CostlyHandshakeError extends Error {
  override name = 'CostlyHandshakeError'

  /** @param shown what is costly, for a user */
  constructor(readonly shown: string) {
    super(`it shows ${shown}`)
  }
}

/**
 * Bounds the bytes of a server's part of the handshake: TLS verifies all certificates that come, also behind a pinned
 * one and of nobody known, in one go. A connection with more ends with a {@link CostlyHandshakeError}.
 * @param connection of a client, in the turn in which it was made
 */
export function boundServerFlight(connection: TLSSocket, maxBytes = MAX_SERVER_FLIGHT_BYTES): void {
  const begin = () => {
    const [raw, tls] = [tcpHandleBelow(connection), tlsHandleOf(connection)]
    // Over a proxy with TLS of its own there is no file with the bytes of the inner TLS.
    if (raw !== undefined && tls !== undefined && !connection.destroyed)
      new ServerFlight(connection, raw, tls, maxBytes)
  }
  if (connection.connecting) connection.once('connect', begin)
  else begin()
}

/** Reads for TLS until the handshake has ended. */
class ServerFlight {
  readonly #buffer: Buffer
  #readBytes = 0
  #silentSinceMs = performance.now()
  #hasEnded = false
  #timer: NodeJS.Timeout | undefined

  constructor(
    private readonly connection: TLSSocket,
    private readonly raw: RawHandle,
    private readonly tls: TlsHandle,
    private readonly maxBytes: number
  ) {
    this.#buffer = Buffer.allocUnsafe(maxBytes)
    connection.once('secureConnect', () => this.#end())
    connection.once('close', () => this.#end())
    raw.readStop()
    // Node begins to read in this turn.
    process.nextTick(() => !this.#hasEnded && raw.readStop())
    this.#lookLater()
  }

  /** Lets TLS read again. */
  #end(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    stopCall(this.#timer)
    if (!this.connection.destroyed) this.raw.readStart()
  }

  #lookLater(): void {
    if (this.#hasEnded || this.connection.destroyed) return
    // It keeps the process running, as a socket does that reads: nothing else tells that a handshake is under way.
    this.#timer = callAfter(() => this.#look(), (performance.now() - this.#silentSinceMs) / LOOKS)
  }

  #look(): void {
    if (this.connection.destroyed) return
    const bytes = readNow(this.raw, this.#buffer, this.maxBytes - this.#readBytes)
    if (bytes === 'gone') {
      this.#end() // TLS finds out itself
      return
    }
    if (bytes !== undefined) {
      this.#readBytes += bytes.length
      this.#silentSinceMs = performance.now()
      this.tls.receive(bytes)
    }
    if (this.#readBytes < this.maxBytes) this.#lookLater()
    else if (!this.#hasEnded)
      this.connection.destroy(new CostlyHandshakeError(`over ${this.maxBytes} bytes in its TLS handshake`))
  }
}
