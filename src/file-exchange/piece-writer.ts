import { Writable } from 'node:stream'

/**
 * The end of a pipeline that writes each piece after the one before. A pipeline tells of what failed here; of an
 * iterating function at its end it would only tell that it was aborted.
 */
export function pieceWriter(write: (piece: Buffer) => Promise<void>): Writable {
  return new Writable({
    write(piece: Buffer, _encoding, done) {
      write(piece).then(() => done(), done)
    }
  })
}
