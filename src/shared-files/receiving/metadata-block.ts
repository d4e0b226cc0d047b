import { RelayError } from '../../values/failures/relay-error.js'
import { MAX_METADATA_BYTES } from '../../values/keys/file-metadata.js'
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
 * @throws {RelayError} INVALID_INPUT when there is no empty line within the first 64 KiB
 */
export async function readMetadataBlock(reader: BodyReader): Promise<{ text: string; rest: Buffer }> {
  let seen: Buffer = Buffer.alloc(0)
  let bytes = 0
  for (;;) {
    const chunk = await reader.next()
    if (chunk === undefined) throw invalid('the body ended before the empty line that ends it')
    const searchFrom = Math.max(0, bytes - OVERLAP_BYTES)
    seen = bytes === 0 ? chunk : append(seen, bytes, chunk)
    bytes += chunk.length
    const found = seen.subarray(0, bytes)
    const end = findEnd(found, searchFrom)
    if ((end?.blockBytes ?? bytes) > MAX_METADATA_BYTES) {
      throw invalid(`it has more than ${MAX_METADATA_BYTES} bytes; is the empty line missing that ends it?`)
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

function findEnd(bytes: Buffer, from: number): BlockEnd | undefined {
  if (from === 0 && bytes[0] === LF) return { blockBytes: 0, fileStart: 1 }
  for (let at = bytes.indexOf(LF, from); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    if (bytes[at + 1] === LF) return { blockBytes: at + 1, fileStart: at + 2 }
    if (bytes[at + 1] === CR && bytes[at + 2] === LF) return { blockBytes: at + 1, fileStart: at + 3 }
  }
  return undefined
}

function invalid(reason: string): RelayError {
  return new RelayError('INVALID_INPUT', `invalid metadata: ${reason}`)
}
