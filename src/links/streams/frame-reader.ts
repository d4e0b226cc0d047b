import { FRAME, FRAME_HEAD_BYTES, MAX_WHOLE_BYTES, StreamProtocolError } from './stream-protocol.js'

export interface FrameSink {
  /** A frame of any type but data, whole. @throws {StreamProtocolError} */
  onFrame(type: number, stream: number, payload: Buffer): void
  /** A part of the data of a frame, as it came: at least one byte. @throws {StreamProtocolError} */
  onData(stream: number, piece: Buffer): void
}

const NOTHING = Buffer.alloc(0)

/** Cuts what comes over a stream connection into frames, without copying data. */
export class FrameReader {
  /** The head that has not come whole yet. */
  #begun: Buffer = NOTHING
  #type = 0
  #stream = 0
  /** Bytes of the payload that are still to come; undefined between frames. */
  #left: number | undefined
  /** The parts of a payload that is read whole. */
  #parts: Buffer[] = []

  constructor(private readonly sink: FrameSink) {}

  /** @throws {StreamProtocolError}; no more may be read then */
  read(chunk: Buffer): void {
    let rest = this.#begun.length === 0 ? chunk : Buffer.concat([this.#begun, chunk])
    this.#begun = NOTHING
    while (rest.length > 0) {
      if (this.#left === undefined) {
        if (rest.length < FRAME_HEAD_BYTES) {
          this.#begun = rest
          return
        }
        this.#readHead(rest)
        rest = rest.subarray(FRAME_HEAD_BYTES)
      }
      rest = this.#readPayload(rest)
    }
  }

  #readHead(bytes: Buffer): void {
    const lengthAndType = bytes.readUInt32BE(0)
    this.#type = lengthAndType & 0xff
    this.#stream = bytes.readUInt32BE(4)
    const length = lengthAndType >>> 8
    this.#left = length
    if (this.#type === FRAME.data) {
      if (length === 0) throw new StreamProtocolError('a frame of data without data')
    } else if (length === 0 && this.#type === FRAME.message) {
      throw new StreamProtocolError('a message without bytes') // no window would bound how many come
    } else if (length > MAX_WHOLE_BYTES) {
      throw new StreamProtocolError(`a frame of type ${this.#type} with ${length} bytes`)
    } else if (length === 0) this.#finish(NOTHING)
  }

  /** @returns what is left of the bytes */
  #readPayload(bytes: Buffer): Buffer {
    const left = this.#left
    if (left === undefined || bytes.length === 0) return bytes
    const piece = bytes.length > left ? bytes.subarray(0, left) : bytes
    this.#left = left - piece.length
    if (this.#type === FRAME.data) {
      if (this.#left === 0) this.#left = undefined
      this.sink.onData(this.#stream, piece)
    } else if (this.#left > 0) {
      this.#parts.push(piece)
    } else {
      this.#parts.push(piece)
      const [only] = this.#parts
      const whole = this.#parts.length === 1 && only !== undefined ? only : Buffer.concat(this.#parts)
      this.#parts = []
      this.#finish(whole)
    }
    return bytes.subarray(piece.length)
  }

  #finish(payload: Buffer): void {
    this.#left = undefined
    this.sink.onFrame(this.#type, this.#stream, payload)
  }
}
