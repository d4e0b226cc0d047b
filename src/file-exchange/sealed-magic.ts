import { Transform } from 'node:stream'

/** The first bytes of every sealed file; the last of them is the version of the form. */
export const SEALED_MAGIC = Buffer.from('TLSEAL\0\x01', 'latin1')
/** The part that all versions share. */
const MARK = SEALED_MAGIC.subarray(0, -1)

/** Passes a file on, unless it is sealed, which shows in its first bytes: then the stream fails with what `refusal` makes. */
export function refuseSealed(refusal: () => Error): Transform {
  let beginning: Buffer | undefined = Buffer.alloc(0)
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      if (beginning === undefined) return done(null, chunk)
      beginning = Buffer.concat([beginning, chunk])
      if (beginning.length < MARK.length) return done()
      if (beginning.subarray(0, MARK.length).equals(MARK)) return done(refusal())
      const checked = beginning
      beginning = undefined
      done(null, checked)
    },
    flush(done) {
      done(null, beginning)
    }
  })
}
