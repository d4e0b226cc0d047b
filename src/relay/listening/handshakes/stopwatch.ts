/** The time that TLS takes for a part of one handshake, in all. */
export class Stopwatch {
  #beganMs: number | undefined
  #ms = 0

  /** While something is being measured, what it took so far counts: the handshake may end amid it. */
  get ms(): number {
    return this.#ms + (this.#beganMs === undefined ? 0 : performance.now() - this.#beganMs)
  }

  measure(act: () => void): void {
    this.#start()
    try {
      act()
    } finally {
      this.#stop()
    }
  }

  /**
   * Measures what an act leaves to the next tick, as Node does with the first bytes of a connection.
   * @param onEnd called once that has been done
   */
  measureNextTick(act: () => void, onEnd: () => void): void {
    process.nextTick(() => this.#start())
    act()
    process.nextTick(() => {
      this.#stop()
      onEnd()
    })
  }

  #start(): void {
    this.#beganMs = performance.now()
  }

  #stop(): void {
    this.#ms = this.ms
    this.#beganMs = undefined
  }
}
