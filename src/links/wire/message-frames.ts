import type { Duplex } from 'node:stream'
import { PieceBudget } from '../../network/sources/piece-budget.js'

/** Frames of a WebSocket until it is a link or lane: an identity, perhaps in pieces, a few pings, and the end. */
export const MAX_FRAMES_OF_STRANGER = 96
/** Pieces of messages that carry next to nothing. We send whole messages; a proxy may cut them. */
const MAX_IDLE_PIECES = 1_024
const FORGIVEN_PER_SECOND = 64

/** The shortest head of a frame, without its mask and longer lengths (RFC 6455, section 5.2). */
const SHORT_HEAD_BYTES = 2
const MASK_BYTES = 4
const LENGTH_IN_2_BYTES = 126
const LENGTH_IN_8_BYTES = 127

/**
 * Reads along the frames of a WebSocket on the connection below, before ws has them: ws works for each of them, for as
 * long as the bytes last that it was given, whatever its user does meanwhile; also for those that come after the end was said.
 */
export class MessageFrames {
  readonly #pieces = new PieceBudget({ ahead: MAX_IDLE_PIECES, forgivenPerSecond: FORGIVEN_PER_SECOND })
  #left: number | undefined = MAX_FRAMES_OF_STRANGER
  #toSkip = 0
  /** The beginning of a head that came in parts. */
  #begun: Buffer | undefined

  /** Called once the other side is known: its messages are counted elsewhere then, and only the pieces of them here. */
  admit(): void {
    this.#left = undefined
  }

  /** @returns false when there are too many */
  read(bytes: Buffer): boolean {
    let at = 0
    while (at < bytes.length) {
      const skipped = Math.min(this.#toSkip, bytes.length - at)
      this.#toSkip -= skipped
      at += skipped
      if (at === bytes.length) return true
      const begun = this.#begun
      const known =
        begun === undefined ? bytes.subarray(at, at + 14) : Buffer.concat([begun, bytes.subarray(at, at + 14)])
      const length = headLength(known)
      if (length === undefined || known.length < length) {
        this.#begun = Buffer.from(known) // a copy: the bytes are not kept for it
        return true
      }
      this.#begun = undefined
      at += length - (begun?.length ?? 0)
      this.#toSkip = payloadLength(known)
      if (!this.#take(known, this.#toSkip)) return false
    }
    return true
  }

  #take(head: Buffer, payload: number): boolean {
    if (this.#left !== undefined) {
      this.#left -= 1
      return this.#left >= 0
    }
    const [first = 0] = head
    const isWhole = (first & 0x80) !== 0 && (first & 0x0f) !== 0
    return isWhole || this.#pieces.take(payload)
  }
}

/** @returns undefined while it cannot be told */
function headLength(head: Buffer): number | undefined {
  const [, second] = head
  if (second === undefined) return undefined
  const length = second & 0x7f
  const longer = length === LENGTH_IN_8_BYTES ? 8 : length === LENGTH_IN_2_BYTES ? 2 : 0
  return SHORT_HEAD_BYTES + longer + ((second & 0x80) === 0 ? 0 : MASK_BYTES)
}

function payloadLength(head: Buffer): number {
  const length = (head[1] ?? 0) & 0x7f
  if (length === LENGTH_IN_2_BYTES) return head.readUInt16BE(SHORT_HEAD_BYTES)
  return length === LENGTH_IN_8_BYTES ? Number(head.readBigUInt64BE(SHORT_HEAD_BYTES)) : length
}

/**
 * Watches the frames that come over a connection; it is cut when there are too many.
 * @param head bytes that came already
 * @returns undefined where those are too many already
 */
export function watchFrames(socket: Duplex, head: Buffer): MessageFrames | undefined {
  const frames = new MessageFrames()
  if (!frames.read(head)) return undefined
  const push = socket.push
  Object.assign(socket, {
    push: (chunk: unknown, encoding?: BufferEncoding): boolean => {
      if (!Buffer.isBuffer(chunk) || frames.read(chunk)) return push.call(socket, chunk, encoding)
      socket.destroy()
      return false
    }
  })
  return frames
}
