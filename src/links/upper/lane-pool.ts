import { LinkLostError, type LinkStream } from '../wire/transport.js'

interface Waiter {
  readonly resolve: (lane: LinkStream) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

/** The lanes of one link: those that nobody uses, and those who wait for one. */
export class LanePool {
  readonly #open = new Set<LinkStream>()
  readonly #idle: LinkStream[] = []
  readonly #waiting = new Set<Waiter>()
  #endedRead = 0
  #endedWritten = 0
  #isClosed = false

  constructor(private readonly max: number) {}

  get count(): number {
    return this.#open.size
  }

  get readBytes(): number {
    return [...this.#open].reduce((sum, lane) => sum + lane.readBytes, this.#endedRead)
  }

  get writtenBytes(): number {
    return [...this.#open].reduce((sum, lane) => sum + lane.writtenBytes, this.#endedWritten)
  }

  /** @returns false when there are too many */
  add(lane: LinkStream): boolean {
    if (this.#open.size >= this.max) return false
    this.#open.add(lane)
    lane.on('error', () => undefined) // whoever uses it is told
    lane.once('close', () => this.#forget(lane))
    const [waiter] = this.#waiting
    if (waiter === undefined) {
      lane.isAwaited = false
      this.#idle.push(lane)
    } else {
      this.#waiting.delete(waiter)
      clearTimeout(waiter.timer)
      waiter.resolve(lane)
    }
    return true
  }

  /** @returns whether one was idle, and the promise of it; it rejects when none comes within `limitMs` */
  take(limitMs: number): { readonly isReady: boolean; readonly lane: Promise<LinkStream> } {
    const idle = this.#idle.pop()
    if (idle !== undefined) {
      idle.isAwaited = true
      return { isReady: true, lane: Promise.resolve(idle) }
    }
    if (this.#isClosed) return { isReady: true, lane: Promise.reject(new LinkLostError('the link was closed')) }
    const lane = new Promise<LinkStream>((resolve, reject) => {
      const waiter: Waiter = {
        resolve,
        reject,
        timer: setTimeout(() => {
          this.#waiting.delete(waiter)
          reject(new LinkLostError(`no lane came within ${limitMs} ms`))
        }, limitMs)
      }
      this.#waiting.add(waiter)
    })
    return { isReady: false, lane }
  }

  close(): void {
    this.#isClosed = true
    for (const { timer, reject } of this.#waiting) {
      clearTimeout(timer)
      reject(new LinkLostError('the link was closed'))
    }
    this.#waiting.clear()
    for (const lane of this.#open) lane.destroy()
  }

  #forget(lane: LinkStream): void {
    this.#open.delete(lane)
    this.#endedRead += lane.readBytes
    this.#endedWritten += lane.writtenBytes
    const index = this.#idle.indexOf(lane)
    if (index !== -1) this.#idle.splice(index, 1)
  }
}
