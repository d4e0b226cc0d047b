/** The time that TLS takes for one ClientHello: a key of the group that its caller chose, and a signature. */
export class HelloCost {
  #beganMs: number | undefined
  #ms: number | undefined

  /**
   * @param handOver hands a connection with a ClientHello to TLS, for which Node reads it at the next tick
   * @param onAnswered called when that has been done
   */
  measure(handOver: () => void, onAnswered: (ms: number) => void): void {
    process.nextTick(() => {
      this.#beganMs = performance.now()
    })
    handOver()
    process.nextTick(() => {
      this.#ms = this.ms
      onAnswered(this.#ms)
    })
  }

  /** So far, where it is being read. */
  get ms(): number {
    return this.#ms ?? (this.#beganMs === undefined ? 0 : performance.now() - this.#beganMs)
  }
}
