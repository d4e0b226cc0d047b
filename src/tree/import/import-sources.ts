import { createHash } from 'node:crypto'
import { statSync } from 'node:fs'
import { readRegularFileSync } from '../../file-system/files/regular-file.js'
import { whyNotRead } from '../../values/failures/file-failure.js'

/** A file as it was read. */
export interface Source {
  readonly file: string
  readonly bytes: Buffer
  /** SHA-256, hex; `absent` for a file that may be absent and is. */
  readonly digest: string
}

const ABSENT = 'absent'

/** @throws {Error} naming the file, when it cannot be read or is larger than `maxBytes` */
export function readSource(file: string, what: string, maxBytes: number): Source {
  try {
    const { size } = statSync(file)
    if (size > maxBytes) throw new Error(`it has ${size} bytes, and may have ${maxBytes}`)
    const bytes = readRegularFileSync(file)
    return { file, bytes, digest: createHash('sha256').update(bytes).digest('hex') }
  } catch (error) {
    throw new Error(`cannot read the ${what} ${file}: ${whyNotRead(error)}`, { cause: error })
  }
}

/** Reads a source as {@link readSource} does; a file that is not there counts as empty. */
export function readSourceIfPresent(file: string, what: string, maxBytes: number): Source {
  if (statSync(file, { throwIfNoEntry: false }) === undefined) return { file, bytes: Buffer.alloc(0), digest: ABSENT }
  return readSource(file, what, maxBytes)
}

export function isAbsent(source: Source): boolean {
  return source.digest === ABSENT
}
