import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

/**
 * The bytes that a connection may be ahead: a record that has come in part brings nothing on yet. It has 2^14 bytes
 * at most, and 256 around them (RFC 8446, section 5.2), after a header of five.
 */
const MAX_RECORD_BYTES = 16_384 + 256 + 5
/** The bytes that a connection is forgiven each second: pings of a link are shorter than the records around them. */
const FORGIVEN_OF_CONNECTION = 64
/**
 * The bytes of an answer that excuse one byte: a reader in HTTP/2 asks for more of it in frames of 13 bytes, with 22 of TLS
 * around them, some of them for every 4 KiB.
 */
const WRITTEN_FOR_ONE = 256
/** The bytes that the connections of one source may bring in vain; beyond, those that still do are closed. */
export const MAX_IDLE_BYTES = 64 * 1024
/** The bytes that a source is forgiven each second. */
const FORGIVEN_OF_SOURCE = 8 * 1024
const INTERVAL_MS = 1_000
/**
 * The share of the time up to which the event loop is not busy: while less is used, none of it is missing to anyone.
 */
const BUSY_FROM = 0.2

export interface IdleBytesOptions {
  /** @default 65,536 */
  readonly maxBytes?: number
  /** @default 1,000 */
  readonly intervalMs?: number
  /** The part of the time that the event loop has to be busy before anything is looked at. @default 0.2 */
  readonly busyFrom?: number
}

interface Watched {
  readonly source: string
  readonly raw: Socket
  readonly tls: TLSSocket
  rawBytes: number
  clearBytes: number
  writtenBytes: number
  idleBytes: number
}

/**
 * Finds callers that keep TLS at work with what brings nothing on: renewed keys take 10 us for 27 bytes, empty records
 * little less, without end, and nobody else sees any of it. Counted is what came beyond two bytes for each one that was
 * in it, by source: who has been closed may connect again.
 */
export class IdleBytes {
  readonly #watched = new Set<Watched>()
  readonly #bySource = new Map<string, number>()
  readonly #maxBytes: number
  readonly #busyFrom: number
  readonly #timer: NodeJS.Timeout
  #lookedAtMs = performance.now()
  #before = performance.eventLoopUtilization()

  /** @param onExcess called for a source that has sent too much, once those of its connections that did are closed */
  constructor(
    private readonly onExcess: (source: string) => void,
    { maxBytes = MAX_IDLE_BYTES, intervalMs = INTERVAL_MS, busyFrom = BUSY_FROM }: IdleBytesOptions = {}
  ) {
    this.#maxBytes = maxBytes
    this.#busyFrom = busyFrom
    this.#timer = setInterval(() => this.#lookIfBusy(), intervalMs).unref()
  }

  /** @param raw what `tls` reads from, once its handshake has ended */
  watch(source: string, raw: Socket, tls: TLSSocket): void {
    const watched = {
      source,
      raw,
      tls,
      rawBytes: raw.bytesRead,
      clearBytes: tls.bytesRead,
      writtenBytes: tls.bytesWritten,
      idleBytes: 0
    }
    this.#watched.add(watched)
    tls.once('close', () => this.#watched.delete(watched))
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #lookIfBusy(): void {
    const { utilization } = performance.eventLoopUtilization(this.#before)
    this.#before = performance.eventLoopUtilization()
    if (utilization >= this.#busyFrom) this.#look(performance.now())
  }

  #look(nowMs: number): void {
    const seconds = (nowMs - this.#lookedAtMs) / 1_000
    this.#lookedAtMs = nowMs
    this.#forgive(seconds * FORGIVEN_OF_SOURCE)
    const idle = [...this.#watched].filter(watched => this.#count(watched, seconds * FORGIVEN_OF_CONNECTION))
    const excessive = new Set(idle.map(({ source }) => source).filter(source => this.#isExcessive(source)))
    for (const { source, tls } of idle) if (excessive.has(source)) tls.destroy()
    for (const source of excessive) this.onExcess(source)
  }

  #isExcessive(source: string): boolean {
    return (this.#bySource.get(source) ?? 0) > this.#maxBytes
  }

  #forgive(bytes: number): void {
    for (const [source, idleBytes] of this.#bySource) {
      if (idleBytes > bytes) this.#bySource.set(source, idleBytes - bytes)
      else this.#bySource.delete(source)
    }
  }

  /** @returns whether it has sent in vain since it was last looked at */
  #count(watched: Watched, forgiven: number): boolean {
    const [rawBytes, clearBytes, writtenBytes] = [
      watched.raw.bytesRead,
      watched.tls.bytesRead,
      watched.tls.bytesWritten
    ]
    const excused = 2 * (clearBytes - watched.clearBytes) + (writtenBytes - watched.writtenBytes) / WRITTEN_FOR_ONE
    const more = rawBytes - watched.rawBytes - excused
    watched.writtenBytes = writtenBytes
    watched.rawBytes = rawBytes
    watched.clearBytes = clearBytes
    const idleBytes = Math.max(0, watched.idleBytes + more - forgiven)
    watched.idleBytes = Math.min(idleBytes, MAX_RECORD_BYTES)
    if (idleBytes <= MAX_RECORD_BYTES) return false
    const { source } = watched
    this.#bySource.set(source, (this.#bySource.get(source) ?? 0) + idleBytes - MAX_RECORD_BYTES)
    return true
  }
}
