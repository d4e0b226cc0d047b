import { Transform, type TransformCallback } from 'node:stream'
import nacl from 'tweetnacl'
import { ClientError } from '../relay-client/client-error.js'
import { asError } from '../values/failures/system-error.js'
import { SEALED_MAGIC as MAGIC } from './sealed-magic.js'

/** The bytes of a file in each chunk but the last (docs/sealed-files.md). */
export const SEALED_CHUNK_BYTES = 65_536

const KEY_BYTES = nacl.secretbox.keyLength
const OVERHEAD_BYTES = nacl.secretbox.overheadLength
const BOX_NONCE_BYTES = nacl.box.nonceLength
const HEADER_BYTES = MAGIC.length + nacl.box.publicKeyLength + BOX_NONCE_BYTES + KEY_BYTES + OVERHEAD_BYTES

/** Seals what is written to it: only the holder of the target's private key can read the result. */
export function createSealStream(targetPublicKey: Uint8Array): Transform {
  const sender = nacl.box.keyPair()
  const boxNonce = nacl.randomBytes(BOX_NONCE_BYTES)
  const fileKey = nacl.randomBytes(KEY_BYTES)
  const boxedKey = nacl.box(fileKey, boxNonce, targetPublicKey, sender.secretKey)
  const header = Buffer.concat([MAGIC, sender.publicKey, boxNonce, boxedKey])
  return new ChunkStream(SEALED_CHUNK_BYTES, {
    start: header,
    chunk: (bytes, number, isLast) => nacl.secretbox(bytes, chunkNonce(number, isLast), fileKey)
  })
}

/**
 * Reads what {@link createSealStream} made. Its output is to be trusted only once the stream has ended well: that the
 * end is missing shows at the end alone.
 * @param privateKey X25519, 32 bytes
 * @throws {ClientError} through the stream: not sealed, for someone else, or changed on the way
 */
export function createOpenStream(privateKey: Uint8Array): Transform {
  let fileKey: Uint8Array | undefined
  return new ChunkStream(SEALED_CHUNK_BYTES + OVERHEAD_BYTES, {
    headerBytes: HEADER_BYTES,
    header: bytes => {
      fileKey = openHeader(bytes, privateKey)
    },
    chunk: (bytes, number, isLast) => {
      if (fileKey === undefined) throw new ClientError('not a sealed file: it is shorter than the header')
      const opened = nacl.secretbox.open(bytes, chunkNonce(number, isLast), fileKey)
      // An empty last chunk is what an empty file has; behind others it would be a second form of the same file.
      if (opened === null || (opened.length === 0 && number > 0)) {
        throw new ClientError(`the sealed file was changed or cut short, at chunk ${number + 1}`)
      }
      return opened
    }
  })
}

/** Number of the chunk, and whether it is the last: a chunk fits in one place only. The key is never used twice. */
function chunkNonce(number: number, isLast: boolean): Uint8Array {
  const nonce = Buffer.alloc(nacl.secretbox.nonceLength)
  nonce.writeBigUInt64BE(BigInt(number), nonce.length - 9)
  nonce[nonce.length - 1] = isLast ? 1 : 0
  return nonce
}

function openHeader(header: Buffer, privateKey: Uint8Array): Uint8Array {
  if (!header.subarray(0, MAGIC.length).equals(MAGIC)) throw new ClientError('not a sealed file, or of a newer version')
  const [senderAt, nonceAt] = [MAGIC.length, MAGIC.length + nacl.box.publicKeyLength]
  const boxAt = nonceAt + BOX_NONCE_BYTES
  const [senderPublicKey, boxNonce] = [header.subarray(senderAt, nonceAt), header.subarray(nonceAt, boxAt)]
  const fileKey = nacl.box.open(header.subarray(boxAt), boxNonce, senderPublicKey, privateKey)
  if (fileKey === null) throw new ClientError('the file is sealed for another key, or its header was changed')
  return fileKey
}

interface ChunkSteps {
  /** The bytes that are written before anything else. */
  readonly start?: Buffer
  /** Read before the first chunk. */
  readonly headerBytes?: number
  readonly header?: (bytes: Buffer) => void
  readonly chunk: (bytes: Buffer, number: number, isLast: boolean) => Uint8Array
}

/** Cuts a stream into chunks of one size. The last one, maybe shorter, maybe empty, is known to be the last. */
class ChunkStream extends Transform {
  readonly #buffer: Buffer
  #filled = 0
  #number = 0
  #headerLeft: Buffer | undefined

  constructor(
    chunkBytes: number,
    private readonly steps: ChunkSteps
  ) {
    super()
    this.#buffer = Buffer.alloc(chunkBytes)
    this.#headerLeft = steps.headerBytes === undefined ? undefined : Buffer.alloc(0)
    if (steps.start !== undefined) this.push(steps.start)
  }

  override _transform(bytes: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#attempt(done, () => {
      let rest = this.#takeHeader(bytes)
      while (rest.length > 0) {
        if (this.#filled === this.#buffer.length) this.#emitChunk(false)
        const count = rest.copy(this.#buffer, this.#filled)
        this.#filled += count
        rest = rest.subarray(count)
      }
    })
  }

  override _flush(done: TransformCallback): void {
    this.#attempt(done, () => this.#emitChunk(true))
  }

  #attempt(done: TransformCallback, action: () => void): void {
    try {
      action()
    } catch (error) {
      done(asError(error))
      return
    }
    done()
  }

  #takeHeader(bytes: Buffer): Buffer {
    const { headerBytes = 0, header } = this.steps
    if (this.#headerLeft === undefined) return bytes
    const joined = Buffer.concat([this.#headerLeft, bytes])
    this.#headerLeft = joined
    if (joined.length < headerBytes) return Buffer.alloc(0)
    this.#headerLeft = undefined
    header?.(joined.subarray(0, headerBytes))
    return joined.subarray(headerBytes)
  }

  #emitChunk(isLast: boolean): void {
    this.push(this.steps.chunk(this.#buffer.subarray(0, this.#filled), this.#number, isLast))
    this.#filled = 0
    this.#number += 1
  }
}
