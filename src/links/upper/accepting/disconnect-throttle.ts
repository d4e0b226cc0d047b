import type { Duplex } from 'node:stream'

/** Connections that may end in one turn of the event loop before the others are held back. */
const MAX_ENDS_PER_TURN = 32

/** The number of held connections that are heard again in one turn. */
const RELEASED_PER_TURN = 32

/** The handle below a socket of Node; not documented, so it is checked before it is used. */
interface ReadHandle {
  reading: boolean
  readStart(): void
  readStop(): void
}

/**
 * Spreads the ends of many connections over many turns of the event loop. When thousands end at the same moment (a
 * firewall that was restarted), the event loop is told of all of them in one turn, and each takes Node and TLS some 60 µs
 * at once: requests would wait for the whole of that. So when many have ended, the others are not read for a moment, and
 * then again a few at a time. Their ends come then, one after another, and what else they have to say as well.
 */
export class DisconnectThrottle {
  readonly #heard = new Set<Duplex>()
  readonly #held: Duplex[] = []
  #endsOfTurn = 0

  constructor() {
    const heard = this.#heard
    this.#forget = function () {
      heard.delete(this)
    }
  }

  /** @param stream a socket; any other kind is left as it is */
  watch(stream: Duplex): void {
    this.#heard.add(stream)
    stream.on('end', this.#noteEnd)
    stream.on('error', this.#noteEnd)
    stream.on('close', this.#forget)
  }

  // One listener for all, since there are thousands of streams.

  readonly #forget: (this: Duplex) => void
  readonly #noteEnd = (): void => {
    if (this.#endsOfTurn === 0) {
      setImmediate(() => {
        this.#endsOfTurn = 0
      })
    }
    this.#endsOfTurn += 1
    if (this.#endsOfTurn >= MAX_ENDS_PER_TURN) this.#holdRest()
  }

  #holdRest(): void {
    const isReleasing = this.#held.length > 0
    for (const stream of this.#heard) {
      const handle = readHandleOf(stream)
      if (handle?.reading !== true) continue
      handle.reading = false
      handle.readStop()
      this.#heard.delete(stream)
      this.#held.push(stream)
    }
    if (!isReleasing && this.#held.length > 0) setImmediate(() => this.#releaseSome())
  }

  #releaseSome(): void {
    for (const stream of this.#held.splice(0, RELEASED_PER_TURN)) {
      if (stream.destroyed) continue
      this.#heard.add(stream)
      const handle = readHandleOf(stream)
      if (handle?.reading !== false) continue
      handle.reading = true
      handle.readStart()
    }
    if (this.#held.length > 0) setImmediate(() => this.#releaseSome())
  }
}

function readHandleOf(stream: Duplex): ReadHandle | undefined {
  const handle: unknown = Reflect.get(stream, '_handle')
  return isReadHandle(handle) ? handle : undefined
}

function isReadHandle(handle: unknown): handle is ReadHandle {
  if (typeof handle !== 'object' || handle === null) return false
  return (
    typeof Reflect.get(handle, 'reading') === 'boolean' &&
    typeof Reflect.get(handle, 'readStart') === 'function' &&
    typeof Reflect.get(handle, 'readStop') === 'function'
  )
}
