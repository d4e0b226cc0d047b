import { isSmallPiece, PieceBlock } from '../../values/gathered-pieces.js'
import { type FramedStream, StreamResetError, type StreamSink } from './framed-stream.js'
import {
  FRAME,
  FRAMED_STREAM_WINDOW_BYTES,
  MAX_DATA_BYTES,
  MAX_WHOLE_BYTES,
  RESET,
  type ResetCode,
  StreamProtocolError
} from './stream-protocol.js'

/** The connection of a stream, as the stream uses it. */
export interface StreamCarrier {
  /** Whether the connection takes so many bytes of data now. */
  takes(bytes: number): boolean
  /** Sends data or a message that it takes. */
  sendCounted(type: number, stream: number, payload: Buffer): void
  /** Sends a frame that no window bounds. */
  send(type: number, stream: number, payload?: Buffer): void
  /** Calls `sendSome` when the connection takes data. */
  await(stream: StreamState): void
  consumed(bytes: number): void
  /** Forgets the stream. */
  forget(id: number): void
}

/** Small pieces of data wait in one block: a writer may send any number of them. */
interface Waiting {
  readonly type: number
  readonly payload: Buffer | PieceBlock
}

/** Waiting bytes from which the writer is held back, and those at which it may go on. */
const HIGH_WATER_BYTES = 64 * 1024
const LOW_WATER_BYTES = 16 * 1024
/** Bytes that were passed on before the other side is told: not for every short exchange. */
const TELL_WINDOW_BYTES = FRAMED_STREAM_WINDOW_BYTES / 4
const MAX_REASON_CHARS = 300

/** A stream that has not ended in both directions, or of which bytes were not passed on. */
export class StreamState implements FramedStream {
  sink: StreamSink = UNWANTED
  #waiting: Waiting[] = []
  #waitingBytes = 0
  #mayDrain = false
  #sendWindow = FRAMED_STREAM_WINDOW_BYTES
  #receiveWindow = FRAMED_STREAM_WINDOW_BYTES
  #held = 0
  #passedOn = 0
  /** Bytes that were passed on, of which the other side was not told. */
  #untold = 0
  #isEnding = false
  #hasEnded = false
  #isEndedByOther = false
  #isReset = false

  constructor(
    readonly id: number,
    private readonly carrier: StreamCarrier
  ) {}

  /** Bytes that came and were not passed on. */
  get held(): number {
    return this.#held
  }

  /** Bytes that were passed on, so far. */
  get passedOn(): number {
    return this.#passedOn
  }

  write(piece: Buffer): boolean {
    if (this.#isEnding || this.#isReset) return true
    for (let start = 0; start < piece.length; start += MAX_DATA_BYTES) {
      const isWhole = piece.length <= MAX_DATA_BYTES
      this.#put(FRAME.data, isWhole ? piece : piece.subarray(start, start + MAX_DATA_BYTES))
    }
    return this.#hasRoom()
  }

  message(payload: Buffer): boolean {
    if (this.#isEnding || this.#isReset) return true
    if (payload.length > MAX_WHOLE_BYTES) {
      this.sink.onReset(this.giveUp(`a message has more than ${MAX_WHOLE_BYTES} bytes`)) // it would end all streams
      return true
    }
    this.#put(FRAME.message, payload)
    return this.#hasRoom()
  }

  end(): void {
    if (this.#isEnding || this.#isReset) return
    this.#isEnding = true
    if (this.#waiting.length === 0) this.#sendEnd()
  }

  reset(code: ResetCode, reason: string): void {
    if (this.#isReset) return
    if (this.#isOver) {
      this.#close() // the other side knows of no such stream any more
      return
    }
    const text = Buffer.from(reason.slice(0, MAX_REASON_CHARS))
    this.carrier.send(FRAME.reset, this.id, Buffer.concat([Buffer.of(code), text]))
    this.#close()
  }

  /** Resets the stream from this side, without its user having asked for that. @returns what the user is to be told */
  giveUp(reason: string): StreamResetError {
    this.reset(RESET.broken, reason)
    return new StreamResetError(RESET.broken, reason)
  }

  consumed(bytes: number): void {
    this.allow(this.passed(bytes))
  }

  passed(bytes: number): number {
    const counted = Math.min(bytes, this.#held)
    if (counted === 0) return 0
    this.#held -= counted
    this.#passedOn += counted
    this.carrier.consumed(counted)
    this.#forgetIfPassedOn()
    return counted
  }

  allow(bytes: number): void {
    this.#untold += bytes
    if (this.#untold < TELL_WINDOW_BYTES || this.#isEndedByOther || this.#isReset) return
    const payload = Buffer.allocUnsafe(4)
    payload.writeUInt32BE(this.#untold, 0)
    this.#receiveWindow += this.#untold
    this.#untold = 0
    this.carrier.send(FRAME.window, this.id, payload)
  }

  /** Sends one waiting frame. Called by the connection in turn with those of other streams. @returns whether more could go now */
  sendSome(): boolean {
    const next = this.#waiting[0]
    if (next === undefined || this.#isReset) return false
    const { length } = next.payload
    if (length > this.#sendWindow) return false // what opens the window asks again
    this.#waiting.shift()
    this.#waitingBytes -= length
    this.#send(next.type, next.payload instanceof PieceBlock ? next.payload.bytes : next.payload)
    if (this.#waiting.length === 0 && this.#isEnding) this.#sendEnd()
    if (this.#mayDrain && this.#waitingBytes <= LOW_WATER_BYTES) {
      this.#mayDrain = false
      this.sink.onDrain()
    }
    return this.#waiting.length > 0
  }

  /** Bytes that the next frame needs of the connection's window; undefined when none waits. */
  get nextBytes(): number | undefined {
    return this.#waiting[0]?.payload.length
  }

  windowOpened(bytes: number): void {
    this.#sendWindow += bytes
    if (this.#sendWindow > 2 ** 31) throw new StreamProtocolError('a window that is too large')
    if (this.#waiting.length > 0) this.carrier.await(this)
  }

  dataCame(piece: Buffer): void {
    this.#count(piece.length)
    this.sink.onData(piece)
  }

  messageCame(payload: Buffer): void {
    this.#count(payload.length)
    this.sink.onMessage(payload)
  }

  endCame(): void {
    if (this.#isEndedByOther) throw new StreamProtocolError('a stream that ended twice')
    this.#isEndedByOther = true
    this.#forgetIfPassedOn()
    this.sink.onEnd()
  }

  resetCame(code: ResetCode, reason: string): void {
    if (this.#isOver) return
    this.#close()
    this.sink.onReset(new StreamResetError(code, reason))
  }

  #put(type: number, payload: Buffer): void {
    if (this.#waiting.length === 0 && payload.length <= this.#sendWindow && this.carrier.takes(payload.length)) {
      this.#send(type, payload)
      return
    }
    this.#waitingBytes += payload.length
    const isSmall = type === FRAME.data && isSmallPiece(payload)
    if (isSmall && this.#addToLast(payload)) return
    this.#waiting.push({ type, payload: isSmall ? new PieceBlock(payload) : payload })
    if (this.#waiting.length === 1 && payload.length <= this.#sendWindow) this.carrier.await(this)
  }

  #addToLast(piece: Buffer): boolean {
    const last = this.#waiting.at(-1)?.payload
    return last instanceof PieceBlock && last.add(piece)
  }

  #send(type: number, payload: Buffer): void {
    this.#sendWindow -= payload.length
    this.carrier.sendCounted(type, this.id, payload)
  }

  #sendEnd(): void {
    this.#hasEnded = true
    this.carrier.send(FRAME.end, this.id)
    this.#forgetIfPassedOn()
  }

  /** Whether both directions have ended: the other side has forgotten the stream. */
  get #isOver(): boolean {
    return this.#hasEnded && this.#isEndedByOther
  }

  /** Forgets the stream once it is over and all was passed on: what came stays counted, and bounded, until then. */
  #forgetIfPassedOn(): void {
    if (this.#isOver && this.#held === 0) this.carrier.forget(this.id)
  }

  #hasRoom(): boolean {
    if (this.#waitingBytes < HIGH_WATER_BYTES) return true
    this.#mayDrain = true
    return false
  }

  #count(bytes: number): void {
    if (this.#isEndedByOther) throw new StreamProtocolError('bytes behind the end of a stream')
    this.#receiveWindow -= bytes
    if (this.#receiveWindow < 0) throw new StreamProtocolError('more bytes than the window of a stream allows')
    this.#held += bytes
  }

  #close(): void {
    this.#isReset = true
    this.#waiting = []
    this.#waitingBytes = 0
    this.carrier.forget(this.id)
    this.carrier.consumed(this.#held)
    this.#held = 0
  }
}

/** The listener until the owner sets one: nothing comes before that, since both happen in one turn. */
const UNWANTED: StreamSink = {
  onMessage: () => undefined,
  onData: () => undefined,
  onEnd: () => undefined,
  onReset: () => undefined,
  onDrain: () => undefined
}

/** The code in a frame of type reset; one that is not known counts as broken. */
export function resetCodeOf(byte: number | undefined): ResetCode {
  return byte === RESET.cancelled || byte === RESET.refused ? byte : RESET.broken
}
