import type { TestContext } from 'node:test'
import type { FramedStream, StreamResetError, StreamSink } from '../../../src/links/streams/framed-stream.js'
import { StreamConnection, type TakeStream } from '../../../src/links/streams/stream-connection.js'
import type { LinkStream } from '../../../src/links/wire/transport.js'
import { eventually } from '../eventually.js'
import { TRANSPORT_KINDS, transportPair } from '../network/transport-pairs.js'

/** Keeps what comes over a stream, as text: messages in brackets. */
export class Received implements StreamSink {
  text = ''
  bytes = 0
  hasEnded = false
  reset: StreamResetError | undefined
  drains = 0
  stream: FramedStream | undefined

  /** @param isConsumed whether what comes counts as passed on at once */
  constructor(public isConsumed = true) {}

  onMessage(payload: Buffer): void {
    this.text += `<${payload.toString()}>`
    if (this.isConsumed) this.stream?.consumed(payload.length)
  }

  onData(piece: Buffer): void {
    this.bytes += piece.length
    if (piece.length < 1_000) this.text += piece.toString()
    if (this.isConsumed) this.stream?.consumed(piece.length)
  }

  onEnd(): void {
    this.hasEnded = true
  }

  onReset(error: StreamResetError): void {
    this.reset = error
  }

  onDrain(): void {
    this.drains += 1
  }
}

/** Waits until it throws nothing. Give each `assert.ok` a message: Node makes one in seconds. */
export async function until(check: () => void): Promise<void> {
  const holds = () => {
    try {
      check()
      return true
    } catch {
      return false
    }
  }
  if (!(await eventually('what is checked', holds).catch(() => false))) check()
}

/** Keeps what comes over a stream. */
export function listenTo(stream: FramedStream, isConsumed = true): Received {
  const received = new Received(isConsumed)
  received.stream = stream
  stream.sink = received
  return received
}

let pairs = 0

/** Both ends of a lane, of each kind in turn. */
export async function lanePair(t: TestContext): Promise<[LinkStream, LinkStream]> {
  pairs += 1
  const kind = TRANSPORT_KINDS[pairs % TRANSPORT_KINDS.length] ?? 'WebSocket'
  const [near, far] = await transportPair(t, kind)
  return [near.transport.stream(), far.transport.stream()]
}

export interface StreamPair {
  readonly upper: StreamConnection
  readonly lower: StreamConnection
  /** All bytes that the lower side sends. */
  readonly sentUp: readonly Buffer[]
  /** Streams that the lower side was asked for, and what came over each. */
  readonly taken: { readonly payload: string; readonly stream: FramedStream; readonly received: Received }[]
  /** Has the lower side take streams in this way from now on. */
  take(take: TakeStream): void
}

/** Two stream connections that stand on one lane. */
export async function connectionPair(t: TestContext, isConsumed = true, upperTakes?: TakeStream): Promise<StreamPair> {
  const [near, far] = await lanePair(t)
  const sentUp: Buffer[] = []
  near.on('data', (chunk: Buffer) => void sentUp.push(Buffer.from(chunk)))
  const taken: StreamPair['taken'] = []
  let takeNext: TakeStream = (stream, payload) => {
    taken.push({ payload: payload.toString(), stream, received: listenTo(stream, isConsumed) })
  }
  const lower = new StreamConnection(far, { side: 'lower', take: (stream, payload) => takeNext(stream, payload) })
  const take = (other: TakeStream) => {
    takeNext = other
  }
  return { upper: new StreamConnection(near, { side: 'upper', take: upperTakes }), lower, sentUp, taken, take }
}
