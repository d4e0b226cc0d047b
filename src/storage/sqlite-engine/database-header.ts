import { readStartSync } from '../../file-system/files/regular-file.js'
import { StorageFailure } from '../../values/failures/storage-failure.js'
import { isMissing } from '../../values/failures/system-error.js'

/** The header of an SQLite database (https://sqlite.org/fileformat2.html#the_database_header). */
const HEADER_BYTES = 100
const MAGIC = Buffer.from('SQLite format 3\0', 'latin1')
const USER_VERSION_AT = 60

/**
 * The number of the schema in the header of a database, `user_version`. The log beside it may hold a higher one.
 * @returns undefined where there is no file, or an empty one
 * @throws {StorageFailure} `damaged` when it is no database
 * @throws {Error} of the system when it cannot be read
 */
export function schemaVersionOf(file: string): number | undefined {
  const header = readHeader(file)
  if (header.length === 0) return undefined
  if (header.length === HEADER_BYTES && header.subarray(0, MAGIC.length).equals(MAGIC)) {
    return header.readUInt32BE(USER_VERSION_AT)
  }
  throw new StorageFailure('damaged', 'file is not a database')
}

function readHeader(file: string): Buffer {
  try {
    return readStartSync(file, HEADER_BYTES)
  } catch (error) {
    if (isMissing(error)) return Buffer.alloc(0)
    throw error
  }
}
