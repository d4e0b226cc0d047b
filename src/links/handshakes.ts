import type { WebSocket } from 'ws'
import { SourceQueue } from '../values/source-queue.js'

/** Handshakes under way at once. */
export const MAX_HANDSHAKES = 512
/** One that takes longer makes room for another when there are too many. */
const SLOW_AFTER_MS = 2_000

interface Begun {
  readonly source: string
  readonly atMs: number
}

/** The WebSockets of which it is not known yet who opened them. */
export class Handshakes {
  readonly #bySource = new SourceQueue<WebSocket>()
  readonly #begun = new Map<WebSocket, Begun>()

  /** @param now in ms, of a clock that only goes forward */
  constructor(private readonly now: () => number) {}

  /**
   * Whether there is room for one more. Where there is none, the oldest of the source with the most of them makes it
   * when it is slow, or when that source has more than half: so nobody can keep the others out.
   */
  hasRoom(source: string): boolean {
    if (this.#begun.size < MAX_HANDSHAKES) return true
    const oldest = this.#bySource.oldestOfLargest()
    const begun = oldest === undefined ? undefined : this.#begun.get(oldest)
    if (oldest === undefined || begun === undefined) return false
    const isSlow = this.now() - begun.atMs >= SLOW_AFTER_MS
    const isCrowd = begun.source !== source && this.#bySource.countOf(begun.source) > MAX_HANDSHAKES / 2
    if (!isSlow && !isCrowd) return false
    this.remove(oldest)
    oldest.terminate()
    return true
  }

  /** @param source what it is told apart by from others */
  add(socket: WebSocket, source: string): void {
    this.#begun.set(socket, { source, atMs: this.now() })
    this.#bySource.add(source, socket)
  }

  remove(socket: WebSocket): void {
    const begun = this.#begun.get(socket)
    if (begun === undefined) return
    this.#begun.delete(socket)
    this.#bySource.delete(begun.source, socket)
  }

  /** @param code one of close codes of the protocol */
  endAll(code: number, reason: string): void {
    for (const socket of this.#begun.keys()) socket.close(code, reason)
  }
}
