import { RelayError } from '../../values/failures/relay-error.js'

export interface QuotaLimits {
  readonly maxTotalBytes: number | undefined
  readonly maxFilesPerSource: number | undefined
}

/** Room for a file that is on its way in. */
export interface Reservation {
  /**
   * Makes sure of room for `bytes` in all.
   * @throws {RelayError} STORAGE_FULL
   */
  grow(bytes: number): void
  /** Gives the room back; what was stored by then counts as stored. Harmless when called again. */
  release(): void
}

/** Counts what lies on disk: kept files, files in the outbox and in `lost~`, and files that are being received. */
export interface Quota {
  /**
   * @param source whose file it is
   * @param storedOfSource how many files of that source are kept or wait already, and do not give way to this one; counts
   * where there is a limit to them
   * @throws {RelayError} STORAGE_FULL
   */
  reserve(source: string, bytes: number, storedOfSource: number): Reservation
  /** The most files of one source; undefined: as many as come. */
  readonly maxFilesPerSource: number | undefined
  /** Adds (or takes away) what is stored. */
  add(bytes: number): void
  /** How much lies in `lost~`. */
  setLost(bytes: number): void
  /** All that counts, in bytes. */
  readonly usedBytes: number
}

export function createQuota(limits: QuotaLimits): Quota {
  let stored = 0
  let reserved = 0
  let lost = 0
  const arriving = new Map<string, number>()

  function checkFiles(source: string, storedOfSource: number): void {
    const limit = limits.maxFilesPerSource
    if (limit === undefined || storedOfSource + (arriving.get(source) ?? 0) < limit) return
    throw tooManyFiles(source, limit)
  }

  function take(bytes: number): void {
    const limit = limits.maxTotalBytes
    const used = stored + reserved + lost
    if (limit !== undefined && used + bytes > limit) {
      const ofLost = lost === 0 ? '' : `, ${lost} of them in lost~`
      throw new RelayError(
        'STORAGE_FULL',
        `no room for ${bytes} more bytes: shared_files.max_total_size is ${limit}, and ${used} are in use${ofLost}`
      )
    }
    reserved += bytes
  }

  return {
    maxFilesPerSource: limits.maxFilesPerSource,
    reserve(source, bytes, storedOfSource) {
      checkFiles(source, storedOfSource)
      take(bytes)
      arriving.set(source, (arriving.get(source) ?? 0) + 1)
      let held = bytes
      let isReleased = false
      return {
        grow(total) {
          if (total <= held) return
          take(total - held)
          held = total
        },
        release() {
          if (isReleased) return
          isReleased = true
          reserved -= held
          const others = (arriving.get(source) ?? 1) - 1
          if (others > 0) arriving.set(source, others)
          else arriving.delete(source)
        }
      }
    },
    add: bytes => {
      stored += bytes
    },
    setLost: bytes => {
      lost = bytes
    },
    get usedBytes() {
      return stored + reserved + lost
    }
  }
}

/** The error for the sender of one file too many. */
export function tooManyFiles(source: string, limit: number | undefined): RelayError {
  return new RelayError(
    'STORAGE_FULL',
    `${source} has ${limit} files here already, which is shared_files.max_files_per_source; wait until some expire`
  )
}
