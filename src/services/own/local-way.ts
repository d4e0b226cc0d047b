import type { FramedStream } from '../../links/streams/framed-stream.js'
import { localStreams } from '../../links/streams/local-streams.js'
import type { ServiceWay } from '../keys/replica.js'
import { parseOpening } from '../streams/open-line.js'
import type { TakeKind } from '../streams/stream-kinds.js'

/** The way to a service that this process reaches itself. */
export class LocalWay implements ServiceWay {
  #streams = 0
  #isOpen = true

  constructor(
    readonly name: string,
    private readonly take: TakeKind
  ) {}

  get isOpen(): boolean {
    return this.#isOpen
  }

  get streams(): number {
    return this.#streams
  }

  /** @throws {Error} once it is closed */
  open(payload: Buffer): FramedStream {
    if (!this.#isOpen) throw new Error('the service is not offered any more')
    const opening = parseOpening(payload)
    const [near, far] = localStreams()
    this.#streams += 1
    near.onClosed(() => {
      this.#streams -= 1
    })
    setImmediate(() => this.take(far, opening))
    return near
  }

  /** Takes no further streams. */
  close(): void {
    this.#isOpen = false
  }
}
