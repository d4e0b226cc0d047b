import type { WebSocket } from 'ws'

/** Handshakes under way at once. */
export const MAX_HANDSHAKES = 512
/** One that takes longer makes room for another when there are too many. */
const SLOW_AFTER_MS = 2_000

/** The WebSockets of which it is not known yet who opened them. */
export class Handshakes {
  /** When each began, the oldest first. */
  readonly #begun = new Map<WebSocket, number>()

  constructor(private readonly now: () => number) {}

  /** Whether there is room for one more; makes it where somebody is slow, so that nobody can keep the others out. */
  hasRoom(): boolean {
    if (this.#begun.size < MAX_HANDSHAKES) return true
    const [oldest] = this.#begun
    if (oldest === undefined || this.now() - oldest[1] < SLOW_AFTER_MS) return false
    this.#begun.delete(oldest[0])
    oldest[0].terminate()
    return true
  }

  add(socket: WebSocket): void {
    this.#begun.set(socket, this.now())
  }

  remove(socket: WebSocket): void {
    this.#begun.delete(socket)
  }

  endAll(): void {
    for (const socket of this.#begun.keys()) socket.terminate()
  }
}
