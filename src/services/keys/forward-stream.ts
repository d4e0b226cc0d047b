import type { FramedStream, StreamResetError, StreamSink } from '../../links/streams/framed-stream.js'
import { splice } from '../../links/streams/splice.js'
import { RESET, type ResetCode } from '../../links/streams/stream-protocol.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { MAX_BLOCK_BYTES, PieceBlock } from '../../values/gathered-pieces.js'
import { showOnOneLine } from '../../values/text/shown-text.js'
import { formatOpening } from '../streams/open-line.js'
import type { TakeKind } from '../streams/stream-kinds.js'
import type { ServiceWay } from './replica.js'
import type { ServiceKeys } from './service-keys.js'

/** Relays that a stream may pass: more of them are links that lead in a circle. */
export const MAX_STREAM_HOPS = 16
/** Bytes behind the opening that are kept until the next side has answered, so that another one can be asked. */
const MAX_KEPT_BYTES = 64 * 1024
/** The same of all streams of this relay together: beyond that, none are kept of further ones. */
const MAX_KEPT_BYTES_IN_ALL = 16 * 1024 * 1024

export interface StreamForwardingOptions {
  /** The id of this relay, for refusals. */
  readonly selfId: string
  readonly keys: Pick<ServiceKeys, 'pick'>
}

/**
 * Sends streams from above on to a replica of the `key` in their line, and joins both. A way that refuses, before it has
 * answered anything, is followed by another one.
 */
export function forwardStreams(options: StreamForwardingOptions): TakeKind {
  const inAll: KeptInAll = { bytes: 0 }
  return (stream, opening) => {
    const { key } = opening.line
    const hops = opening.line.hops ?? 0
    const refuse = (why: string) => stream.reset(RESET.refused, `${options.selfId}: ${why}`)
    if (typeof key !== 'string') return refuse('a stream without a key')
    if (typeof hops !== 'number' || !Number.isSafeInteger(hops) || hops < 0) return refuse('a stream without its hops')
    if (hops >= MAX_STREAM_HOPS) {
      return refuse(`the stream has passed ${MAX_STREAM_HOPS} relays: their links lead in a circle`)
    }
    const payload = formatOpening({ ...opening.line, hops: hops + 1 }, opening.rest)
    const forwarding = new Forwarding(options, stream, { key, payload, inAll })
    stream.sink = forwarding
    forwarding.tryNext()
  }
}

/** Bytes that all streams keep. */
interface KeptInAll {
  bytes: number
}

/** Data, of which small pieces are put together, or one message. Always copies: a piece would hold all that was read with it. */
type Kept = { readonly message: Buffer } | PieceBlock

/** Bytes that a message counts for besides its own. */
const MESSAGE_OVERHEAD_BYTES = 1024

/** A stream from above until the side below has answered. */
class Forwarding implements StreamSink {
  readonly #tried = new Set<ServiceWay>()
  /** The refusal of the way that was tried last. */
  #refusal: string | undefined
  #to: FramedStream | undefined
  #kept: Kept[] = []
  #keptBytes = 0
  /** Bytes that came before there was anyone to take them: the window of the stream bounds them. */
  #unconsumed = 0
  #hasEnded = false
  #isOver = false

  constructor(
    private readonly options: StreamForwardingOptions,
    private readonly from: FramedStream,
    private readonly what: { readonly key: string; readonly payload: Buffer; readonly inAll: KeptInAll }
  ) {}

  tryNext(): void {
    const { selfId, keys } = this.options
    for (;;) {
      const way = keys.pick(this.what.key, this.#tried)
      if (way === undefined) {
        const why = this.#refusal ?? `${selfId}: no client is registered under ${showOnOneLine(this.what.key)}`
        return void this.#end(RESET.refused, why)
      }
      this.#tried.add(way)
      try {
        const opened = way.open(this.what.payload)
        if (!(opened instanceof Promise)) return void this.#opened(opened)
        opened.then(
          to => this.#opened(to),
          (error: unknown) => {
            this.#noteFailure(way, error)
            if (!this.#isOver) this.tryNext()
          }
        )
        return
      } catch (error) {
        this.#noteFailure(way, error)
      }
    }
  }

  onMessage(payload: Buffer): void {
    this.#came(true, payload)
  }

  onData(piece: Buffer): void {
    this.#came(false, piece)
  }

  onEnd(): void {
    this.#hasEnded = true
    this.#to?.end()
  }

  onReset({ code, message }: StreamResetError): void {
    this.#isOver = true
    this.#dropKept()
    this.#to?.reset(code, message)
  }

  onDrain(): void {}

  /** The other side has answered, or cannot be changed any more: from now on both streams are one. */
  join(to: FramedStream): void {
    splice(this.from, to)
    this.#dropKept()
    this.#consume()
  }

  refused(error: StreamResetError): void {
    this.#to = undefined
    if (error.code !== RESET.refused) return void this.#end(error.code, error.message)
    this.#refusal = error.message
    this.tryNext()
  }

  #noteFailure({ name }: ServiceWay, error: unknown): void {
    this.#refusal = `${this.options.selfId}: ${name}: ${errorMessage(error)}`
  }

  #opened(to: FramedStream): void {
    if (this.#isOver) return void to.reset(RESET.cancelled, 'given up before it was opened')
    this.#to = to
    to.sink = new FirstAnswer(this, to)
    for (const kept of this.#kept) {
      if (kept instanceof PieceBlock) to.write(kept.bytes)
      else to.message(kept.message)
    }
    if (this.#hasEnded) to.end()
    this.#consume() // the window is all streams' of the connection: none of it is held until the answer
    if (this.#isMuch) this.join(to)
  }

  #came(isMessage: boolean, bytes: Buffer): void {
    this.#keep(isMessage, bytes)
    this.#unconsumed += bytes.length
    const to = this.#to
    if (to === undefined) return
    const hasRoom = send(to, isMessage, bytes)
    if (!hasRoom || this.#isMuch) this.join(to)
    else this.#consume()
  }

  get #isMuch(): boolean {
    return this.#keptBytes > MAX_KEPT_BYTES || this.what.inAll.bytes > MAX_KEPT_BYTES_IN_ALL
  }

  #keep(isMessage: boolean, bytes: Buffer): void {
    const cost = bytes.length + (isMessage ? MESSAGE_OVERHEAD_BYTES : 0)
    this.#keptBytes += cost
    this.what.inAll.bytes += cost
    if (isMessage) {
      this.#kept.push({ message: Buffer.from(bytes) })
      return
    }
    for (let start = 0; start < bytes.length; start += MAX_BLOCK_BYTES) {
      const piece = bytes.subarray(start, start + MAX_BLOCK_BYTES)
      const last = this.#kept.at(-1)
      if (!(last instanceof PieceBlock && last.add(piece))) this.#kept.push(new PieceBlock(piece))
    }
  }

  #dropKept(): void {
    this.#kept = []
    this.what.inAll.bytes -= this.#keptBytes
    this.#keptBytes = 0
  }

  #consume(): void {
    this.from.consumed(this.#unconsumed)
    this.#unconsumed = 0
  }

  #end(code: ResetCode, reason: string): void {
    this.#dropKept()
    this.from.reset(code, reason)
  }
}

/** Waits for the first sign of the side below. */
class FirstAnswer implements StreamSink {
  constructor(
    private readonly forwarding: Forwarding,
    private readonly to: FramedStream
  ) {}

  onMessage(payload: Buffer): void {
    this.forwarding.join(this.to)
    this.to.sink.onMessage(payload)
  }

  onData(piece: Buffer): void {
    this.forwarding.join(this.to)
    this.to.sink.onData(piece)
  }

  onEnd(): void {
    this.forwarding.join(this.to)
    this.to.sink.onEnd()
  }

  onReset(error: StreamResetError): void {
    this.forwarding.refused(error)
  }

  onDrain(): void {}
}

/** @returns as `write` does */
function send(to: FramedStream, isMessage: boolean, bytes: Buffer): boolean {
  return isMessage ? to.message(bytes) : to.write(bytes)
}
