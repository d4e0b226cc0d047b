import { MAX_METADATA_BYTES, MAX_METADATA_FIELDS } from '../../keys/signatures/file-metadata.js'
import { RelayError } from '../../values/failures/relay-error.js'
import type { BodyReader } from './body-reader.js'

const LF = 0x0a
const CR = 0x0d
/** The bytes by which the end of a block may reach back into what came before: LF CR of `LF CR LF`. */
const OVERLAP_BYTES = 2

interface BlockEnd {
  /** Bytes of the block, its last line feed included. */
  readonly blockBytes: number
  /** The offset at which the file begins. */
  readonly fileStart: number
}

/**
 * Takes the metadata block off the front of a body: lines, then an empty one.
 * @returns the block's text and what came of the file with it, perhaps nothing
 * @throws {RelayError} INVALID_INPUT when there is no empty line within the first 64 KiB, or too many others before it
 */
export async function readMetadataBlock(reader: BodyReader): Promise<{ text: string; rest: Buffer }> {
  let seen: Buffer = Buffer.alloc(0)
  let bytes = 0
  const search = new EndSearch()
  for (;;) {
    const chunk = await reader.next()
    if (chunk === undefined) throw invalid('the body ended before the empty line that ends it')
    seen = bytes === 0 ? chunk : append(seen, bytes, chunk)
    bytes += chunk.length
    const found = seen.subarray(0, bytes)
    const end = search.find(found)
    if ((end?.blockBytes ?? bytes) > MAX_METADATA_BYTES) {
      throw tooLong(`${MAX_METADATA_BYTES} bytes`)
    }
    if (end !== undefined) {
      return { text: found.toString('utf8', 0, end.blockBytes), rest: found.subarray(end.fileStart) }
    }
  }
}

/** Grows by doubling, so that a block that comes byte by byte is not copied for each of them. */
function append(buffer: Buffer, usedBytes: number, chunk: Buffer): Buffer {
  let target = buffer
  if (usedBytes + chunk.length > buffer.length) {
    target = Buffer.alloc(2 * (usedBytes + chunk.length))
    buffer.copy(target, 0, 0, usedBytes)
  }
  chunk.copy(target, usedBytes)
  return target
}

/** Looks for the empty line in a body that grows, and counts the lines before it. */
class EndSearch {
  #seenBytes = 0
  #lines = 0

  /** @param bytes all that has come so far */
  find(bytes: Buffer): BlockEnd | undefined {
    const seenBytes = this.#seenBytes
    this.#seenBytes = bytes.length
    const from = Math.max(0, seenBytes - OVERLAP_BYTES)
    if (from === 0 && bytes[0] === LF) return { blockBytes: 0, fileStart: 1 }
    for (let at = bytes.indexOf(LF, from); at >= 0; at = bytes.indexOf(LF, at + 1)) {
      if (bytes[at + 1] === LF) return { blockBytes: at + 1, fileStart: at + 2 }
      if (bytes[at + 1] === CR && bytes[at + 2] === LF) return { blockBytes: at + 1, fileStart: at + 3 }
      if (at >= seenBytes) this.#lines += 1
      if (this.#lines > MAX_METADATA_FIELDS) throw tooLong(`${MAX_METADATA_FIELDS} lines`)
    }
    return undefined
  }
}

function tooLong(what: string): RelayError {
  return invalid(`it has more than ${what}; is the empty line missing that ends it?`)
}

function invalid(reason: string): RelayError {
  return new RelayError('INVALID_INPUT', `invalid metadata: ${reason}`)
}
