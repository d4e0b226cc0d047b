import type { PieceBudget } from '../../network/sources/piece-budget.js'
import type { IdleBudget } from './idle-budget.js'

/** The beginning of a frame of HTTP/2 (RFC 9113, section 4.1). */
const HEAD_BYTES = 9
/** The length of the preface, which a client of HTTP/2 sends first (section 3.4). */
const PREFACE_BYTES = 24

const DATA = 0
const HEADERS = 1
const PADDED = 0x8

/**
 * Reads along the frames of HTTP/2 that come over a link, their heads alone, before the parser has them: the parser and
 * Node answer many kinds of frames, or pass over them, without a word, and call us for others once for each.
 */
export class FrameWatch {
  /** Bytes of data in the frames so far. */
  dataBytes = 0
  readonly #isServer: boolean
  #toSkip: number
  /** The beginning of a frame's head that came in parts. */
  #begun: Buffer | undefined
  #newestStream = 0

  /** @param side of ours @param pieces counts frames of data, of which short ones cost as much as long ones */
  constructor(
    side: 'client' | 'server',
    private readonly budget: IdleBudget,
    private readonly pieces?: PieceBudget
  ) {
    this.#isServer = side === 'server'
    this.#toSkip = this.#isServer ? PREFACE_BYTES : 0
  }

  /** @param message not empty @returns false when there was too much that brings nothing on */
  read(message: Buffer): boolean {
    // Whoever sends frames has no reason to cut them into such pieces.
    if (message.length < HEAD_BYTES && !this.budget.spend()) return false
    let at = 0
    while (at < message.length) {
      const skipped = Math.min(this.#toSkip, message.length - at)
      this.#toSkip -= skipped
      at += skipped
      if (at === message.length) return true
      const before = this.#begun
      const end = at + HEAD_BYTES - (before?.length ?? 0)
      const here = message.subarray(at, end)
      const head = before === undefined ? here : Buffer.concat([before, here])
      if (head.length < HEAD_BYTES) {
        this.#begun = Buffer.from(head) // a copy: the message is not kept for it
        return true
      }
      this.#begun = undefined
      at = end
      if (!this.#take(head)) return false
    }
    return true
  }

  #take(head: Buffer): boolean {
    const length = head.readUIntBE(0, 3)
    const type = head[3]
    this.#toSkip = length
    if (type === DATA && length > 0 && ((head[4] ?? 0) & PADDED) === 0) {
      this.dataBytes += length
      this.pieces?.take(length)
      return true
    }
    if (type === HEADERS && this.#isServer) {
      const stream = head.readUInt32BE(5) & 0x7fffffff
      if (stream > this.#newestStream) {
        this.#newestStream = stream
        this.budget.requestBegun()
        return true
      }
    }
    return this.budget.spend()
  }
}
