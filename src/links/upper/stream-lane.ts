import type { PieceBudget } from '../../network/sources/piece-budget.js'
import { StreamConnection, type TakeStream } from '../streams/stream-connection.js'
import { STREAMS_WAIT_MS } from '../wire/protocol.js'
import { LinkLostError, type Transport } from '../wire/transport.js'

export interface StreamLaneOptions {
  /** Names the link in messages. */
  readonly name: string
  /** The budget of the other side for short messages. */
  readonly pieces: PieceBudget
  readonly pingMs: number
  /** Asks the other side to open the lane. @throws {Error} when it does not */
  readonly ask: () => Promise<void>
}

interface Opening {
  readonly opened: Promise<StreamConnection>
  readonly resolve: (connection: StreamConnection) => void
  readonly reject: (error: Error) => void
}

/** The one lane of a link that carries streams: opened when the first stream is wanted, and again after it was lost. */
export class StreamLane {
  /** Takes streams that the other side opens. Set before the lane opens; where it is undefined, they are refused. */
  take: TakeStream | undefined
  #connection: StreamConnection | undefined
  #opening: Opening | undefined
  #ended = { received: 0, sent: 0 }
  #isClosed = false

  constructor(private readonly options: StreamLaneOptions) {}

  /** Whether the lane stands. */
  get isTaken(): boolean {
    return this.#connection !== undefined
  }

  /** The standing connection; undefined where it has to be opened first. */
  get connection(): StreamConnection | undefined {
    return this.#connection?.isOpen === true ? this.#connection : undefined
  }

  get bytes(): { readonly received: number; readonly sent: number } {
    const now = this.#connection?.bytes
    return { received: this.#ended.received + (now?.received ?? 0), sent: this.#ended.sent + (now?.sent ?? 0) }
  }

  /** @throws {Error} when the other side opens none within 10 s */
  get(): Promise<StreamConnection> {
    if (this.connection !== undefined) return Promise.resolve(this.connection)
    if (this.#isClosed) return Promise.reject(new LinkLostError('the link was closed'))
    this.#opening ??= this.#open()
    return this.#opening.opened
  }

  /** Takes the lane that the other side opened. */
  add(transport: Transport): void {
    const lane = transport.stream({ isBulk: true, pieces: this.options.pieces })
    const { pingMs, name } = this.options
    const take: TakeStream = (stream, payload) => this.take?.(stream, payload)
    const connection = new StreamConnection(lane, { side: 'upper', pingMs, take, name })
    if (this.#isClosed || this.#connection !== undefined) {
      connection.close('there is one already')
      return
    }
    this.#connection = connection
    void connection.closed.then(() => {
      this.#ended = { received: this.bytes.received, sent: this.bytes.sent }
      this.#connection = undefined
    })
    this.#opening?.resolve(connection)
    this.#opening = undefined
  }

  close(): void {
    this.#isClosed = true
    this.#connection?.close('the link was closed')
    this.#opening?.reject(new LinkLostError('the link was closed'))
  }

  #open(): Opening {
    let settle: Pick<Opening, 'resolve' | 'reject'> | undefined
    const opened = new Promise<StreamConnection>((resolve, reject) => {
      settle = { resolve, reject }
    })
    if (settle === undefined) throw new TypeError('the executor of a promise runs at once')
    const opening: Opening = { opened, ...settle }
    const fail = (error: Error) => {
      if (this.#opening === opening) this.#opening = undefined
      opening.reject(error)
    }
    const timer = setTimeout(
      () => fail(new LinkLostError(`no lane for streams came within ${STREAMS_WAIT_MS} ms`)),
      STREAMS_WAIT_MS
    )
    const done = () => clearTimeout(timer)
    opened.then(done, done)
    this.options.ask().catch(fail)
    return opening
  }
}
