import { errorMessage } from '../../values/failures/system-error.js'
import { Heartbeat } from '../wire/heartbeat.js'
import { PING_EVERY_MS } from '../wire/protocol.js'
import type { LinkStream } from '../wire/transport.js'
import { FrameReader, type FrameSink } from './frame-reader.js'
import { type FramedStream, StreamResetError } from './framed-stream.js'
import { OutgoingFrames } from './outgoing-frames.js'
import { watchSlowReaders } from './slow-readers.js'
import {
  CONNECTION_WINDOW_BYTES,
  FRAME,
  HELD_UP_LIMIT_MS,
  MAX_FRAMED_STREAMS,
  MAX_HELD_BYTES,
  MAX_WHOLE_BYTES,
  RESET,
  StreamProtocolError
} from './stream-protocol.js'
import { resetCodeOf, type StreamCarrier, StreamState } from './stream-state.js'

/** Takes a stream that the other side opens: sets its `sink` in this turn, or resets it. */
export type TakeStream = (stream: FramedStream, payload: Buffer) => void

export interface StreamConnectionOptions {
  /** The side of the link at which this end is: the ids of its streams follow from it. */
  readonly side: 'upper' | 'lower'
  /** The other side is asked for a sign of life when it was silent for so long, and taken for dead after as long again. */
  readonly pingMs?: number
  /** The time after which slow readers that hold up the others are given up. @default 10,000 */
  readonly heldUpLimitMs?: number
  /** Undefined where the other side may open no streams. */
  readonly take?: TakeStream | undefined
  /** Names its link, for the streams that are lost with it. */
  readonly name?: string | undefined
}

const TELL_WINDOW_BYTES = CONNECTION_WINDOW_BYTES / 4

/**
 * Many streams on one lane, with frames ({@link FRAME}): short exchanges share connection, records of TLS and system calls.
 * Ends with its lane.
 */
export class StreamConnection implements StreamCarrier, FrameSink {
  /** Resolves with the reason; never rejects. */
  readonly closed: Promise<string>
  readonly #streams = new Map<number, StreamState>()
  /** Streams that have something to send, and the window for it. */
  readonly #ready = new Set<StreamState>()
  readonly #outgoing: OutgoingFrames
  readonly #reader = new FrameReader(this)
  readonly #take: TakeStream | undefined
  readonly #heartbeat: Heartbeat
  readonly #heldUpLimitMs: number
  #nextId: number
  #lastIdOfOther = 0
  #sendWindow = CONNECTION_WINDOW_BYTES
  #receiveWindow = CONNECTION_WINDOW_BYTES
  #untold = 0
  /** Bytes that came and were not passed on, and those of them that the other side may not send anew yet. */
  #held = 0
  #withheld = 0
  #slowReaders: NodeJS.Timeout | undefined
  #reason: string | undefined

  constructor(
    private readonly lane: LinkStream,
    {
      side,
      pingMs = PING_EVERY_MS,
      heldUpLimitMs = HELD_UP_LIMIT_MS,
      take,
      name = 'the connection'
    }: StreamConnectionOptions
  ) {
    this.#take = take
    this.#heldUpLimitMs = heldUpLimitMs
    this.#nextId = side === 'upper' ? 1 : 2
    const transport = { isOpen: true, onSignOfLife: () => undefined } // all signs are bytes of the lane
    this.#heartbeat = new Heartbeat(
      { transport, stream: lane, everyMs: pingMs, asksAlways: false },
      { ask: () => this.send(FRAME.ping, 0), fellSilent: () => this.close('it gave no sign of life') }
    )
    this.#outgoing = new OutgoingFrames(lane, () => this.#sendWaiting())
    lane.on('data', (chunk: Buffer) => this.#read(chunk))
    lane.on('error', error => {
      this.#reason ??= errorMessage(error)
    })
    this.closed = new Promise(resolve => {
      lane.once('close', () => {
        this.#heartbeat.stop()
        clearTimeout(this.#slowReaders)
        const reason = this.#reason ?? 'the connection was closed'
        const lost = `${name} was lost: ${reason}`
        for (const stream of [...this.#streams.values()]) stream.resetCame(RESET.broken, lost)
        resolve(reason)
      })
    })
  }

  get isOpen(): boolean {
    return !this.lane.destroyed && !this.lane.writableEnded
  }

  /** Streams that have not ended. */
  get count(): number {
    return this.#streams.size
  }

  get bytes(): { readonly received: number; readonly sent: number } {
    return { received: this.lane.readBytes, sent: this.lane.writtenBytes }
  }

  /**
   * Opens a stream. Its `sink` is to be set in this turn.
   * @param payload says what is wanted, 80 KiB at most
   * @throws {StreamResetError} `refused` when the connection has ended, or has as many as it may have
   */
  open(payload: Buffer): FramedStream {
    if (!this.isOpen) throw new StreamResetError(RESET.refused, 'the connection is closed')
    if (this.#streams.size >= MAX_FRAMED_STREAMS) {
      throw new StreamResetError(RESET.refused, `${MAX_FRAMED_STREAMS} streams are open on its link`)
    }
    if (!this.#outgoing.mayOpen) {
      throw new StreamResetError(RESET.refused, 'its link takes no more at the moment: the other side reads too slowly')
    }
    if (payload.length > MAX_WHOLE_BYTES) {
      throw new StreamResetError(RESET.refused, `what it begins with has more than ${MAX_WHOLE_BYTES} bytes`)
    }
    const stream = new StreamState(this.#nextId, this)
    this.#nextId += 2
    if (this.#nextId > 2 ** 32 - 4) this.lane.end() // ids are used up: the next stream is opened on a new connection
    this.#streams.set(stream.id, stream)
    this.#outgoing.add(FRAME.open, stream.id, payload)
    return stream
  }

  close(reason: string): void {
    this.#reason ??= reason
    this.lane.destroy()
  }

  // For the streams.

  takes(bytes: number): boolean {
    return this.#outgoing.hasRoom && bytes <= this.#sendWindow
  }

  sendCounted(type: number, stream: number, payload: Buffer): void {
    this.#sendWindow -= payload.length
    this.#outgoing.add(type, stream, payload)
  }

  send(type: number, stream: number, payload?: Buffer): void {
    this.#outgoing.add(type, stream, payload)
  }

  await(stream: StreamState): void {
    this.#ready.add(stream)
    this.#outgoing.wake()
  }

  consumed(bytes: number): void {
    this.#held -= bytes
    const allowed = Math.min(this.#withheld, bytes)
    this.#withheld -= allowed
    this.#allow(allowed)
  }

  /** Lets the other side send so many more bytes. */
  #allow(bytes: number): void {
    this.#untold += bytes
    if (this.#untold < TELL_WINDOW_BYTES) return
    const payload = Buffer.allocUnsafe(4)
    payload.writeUInt32BE(this.#untold, 0)
    this.#receiveWindow += this.#untold
    this.#untold = 0
    this.#outgoing.add(FRAME.window, 0, payload)
  }

  forget(id: number): void {
    const stream = this.#streams.get(id)
    if (stream === undefined) return
    this.#streams.delete(id)
    this.#ready.delete(stream)
  }

  // For the frames.

  onData(id: number, piece: Buffer): void {
    this.#count(piece.length)
    const stream = this.#streams.get(id)
    if (stream === undefined) this.#dropLate(id, piece.length)
    else stream.dataCame(piece)
  }

  onFrame(type: number, id: number, payload: Buffer): void {
    if (type === FRAME.open) this.#opened(id, payload)
    else if (id === 0) this.#takeOwn(type, payload)
    else {
      if (type === FRAME.message) this.#count(payload.length)
      const stream = this.#streams.get(id)
      if (stream === undefined) this.#dropLate(id, type === FRAME.message ? payload.length : 0)
      else passTo(stream, type, payload)
    }
  }

  /** A frame of the connection itself. */
  #takeOwn(type: number, payload: Buffer): void {
    if (type === FRAME.window) this.#windowOpened(payload)
    else if (type === FRAME.ping && this.lane.idle.spend()) this.send(FRAME.pong, 0)
    else if (type !== FRAME.pong) throw new StreamProtocolError(`a frame of type ${type} of the connection itself`)
  }

  #read(chunk: Buffer): void {
    try {
      this.#reader.read(chunk)
    } catch (error) {
      if (!(error instanceof StreamProtocolError)) throw error
      this.lane.destroy(error)
    }
  }

  #opened(id: number, payload: Buffer): void {
    const isOfOther = id !== 0 && id % 2 !== this.#nextId % 2
    if (!isOfOther || id <= this.#lastIdOfOther) throw new StreamProtocolError(`a stream with the id ${id}`)
    this.#lastIdOfOther = id
    const stream = new StreamState(id, this)
    this.#streams.set(id, stream)
    if (this.#take === undefined) stream.reset(RESET.refused, 'no streams are taken here')
    else if (this.#streams.size > MAX_FRAMED_STREAMS) {
      stream.reset(RESET.refused, `${MAX_FRAMED_STREAMS} streams are open on this link`)
    } else this.#take(stream, payload)
  }

  #windowOpened(payload: Buffer): void {
    this.#sendWindow += windowIn(payload)
    if (this.#sendWindow > 2 ** 31) throw new StreamProtocolError('a window that is too large')
    this.#sendWaiting()
  }

  /** In turn, a frame of each. */
  #sendWaiting(): void {
    for (const stream of this.#ready) {
      if (!this.takes(stream.nextBytes ?? 0)) return
      this.#ready.delete(stream)
      if (stream.sendSome()) this.#ready.add(stream) // behind the others
    }
  }

  #count(bytes: number): void {
    this.#receiveWindow -= bytes
    if (this.#receiveWindow < 0) throw new StreamProtocolError('more bytes than the window of the connection allows')
    this.#held += bytes
    if (this.#held <= MAX_HELD_BYTES) this.#allow(bytes)
    else {
      this.#withheld += bytes
      this.#slowReaders ??= watchSlowReaders(this.#streams, () => this.#tooMuch(), this.#heldUpLimitMs)
    }
  }

  /** Ends the wait for slow readers. @returns the bytes that they are to give up; none where the others go on again */
  #tooMuch(): number {
    this.#slowReaders = undefined
    return this.#withheld > 0 ? this.#held - MAX_HELD_BYTES / 2 : 0
  }

  /** Drops frames that were under way when their stream was reset here. */
  #dropLate(id: number, bytes: number): void {
    const isKnown = id !== 0 && (id % 2 === this.#nextId % 2 ? id < this.#nextId : id <= this.#lastIdOfOther)
    if (!isKnown) throw new StreamProtocolError(`a frame of stream ${id}, which nobody opened`)
    if (bytes > 0) this.consumed(bytes)
  }
}

/** @throws {StreamProtocolError} */
function passTo(stream: StreamState, type: number, payload: Buffer): void {
  if (type === FRAME.message) stream.messageCame(payload)
  else if (type === FRAME.end) stream.endCame()
  else if (type === FRAME.window) stream.windowOpened(windowIn(payload))
  else if (type === FRAME.reset) {
    stream.resetCame(resetCodeOf(payload[0]), payload.toString('utf8', 1).replaceAll(/\p{C}/gu, ''))
  } else throw new StreamProtocolError(`a frame of type ${type}`)
}

function windowIn(payload: Buffer): number {
  if (payload.length !== 4) throw new StreamProtocolError('a window that has no 4 bytes')
  return payload.readUInt32BE(0)
}
