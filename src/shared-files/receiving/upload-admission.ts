import { type Caller, sharerOf } from '../../network/caller.js'
import { FairSlots } from '../../network/sources/fair-slots.js'
import { RelayError } from '../../values/failures/relay-error.js'
import type { Reservation } from '../keeping/quota.js'

/** Uploads whose metadata is still awaited, for each one that may be received: they hold little, but not nothing. */
const AWAITED_FOR_EACH = 4

/** An upload on its way in. It holds one of many slots while its metadata is awaited, and then one of few. */
export interface Upload {
  /** Aborted, with a BUSY, when its slot goes to another source while its metadata is still awaited. */
  readonly evicted: AbortSignal
  /**
   * Begins once its metadata is admitted: from now on it holds one of the few, and room on the disk.
   * @throws {RelayError} BUSY, STORAGE_FULL
   */
  begin(): Promise<Reservation>
  /** Gives back all that it holds; harmless when called again. */
  release(): void
}

/**
 * Admits uploads. A stranger who only opens connections, or sends a few bytes, takes nothing from others but one of
 * the slots for those whose metadata is awaited, and of these no more than a fair share: it yields one to a source
 * that has fewer. Relays and nodes share by their id, whatever address they come from.
 */
export class UploadAdmission {
  readonly #awaited: FairSlots
  readonly #receiving: FairSlots

  /** @param maxUploads bodies being received at once; each takes up to about 0.6 MB of memory */
  constructor(private readonly maxUploads: number) {
    this.#awaited = new FairSlots(maxUploads * AWAITED_FOR_EACH)
    this.#receiving = new FairSlots(maxUploads)
  }

  /**
   * @param reserve takes room on the disk
   * @throws {RelayError} BUSY when there is no slot; STORAGE_FULL when there would be no room now
   */
  async open(caller: Caller, reserve: () => Promise<Reservation>): Promise<Upload> {
    const probe = await reserve()
    probe.release() // before its sender is told to go on; it is held from when the metadata proves whose file it is
    const eviction = new AbortController()
    const onEvicted = () => eviction.abort(evictedError(this.maxUploads))
    let release = this.#take(this.#awaited, caller, 'files are on their way in', onEvicted)
    let room: Reservation | undefined
    return {
      evicted: eviction.signal,
      begin: async () => {
        eviction.signal.throwIfAborted()
        const leave = release
        release = this.#take(this.#receiving, caller, 'files are being received')
        leave()
        room = await reserve()
        return room
      },
      release: () => {
        room?.release()
        release()
      }
    }
  }

  #take(slots: FairSlots, caller: Caller, what: string, onEvicted?: () => void): () => void {
    const { source, standing } = sharerOf(caller)
    const release = slots.take(source, standing, onEvicted)
    if (release !== undefined) return release
    throw new RelayError(
      'BUSY',
      slots.held < slots.capacity
        ? `${slots.held} ${what} already, too many of them from ${caller.id ?? caller.address} (limits.max_uploads is ${this.maxUploads}); try again in a moment`
        : `${slots.held} ${what} already (limits.max_uploads is ${this.maxUploads}); try again in a moment`
    )
  }
}

function evictedError(maxUploads: number): RelayError {
  return new RelayError(
    'BUSY',
    `too many files are on their way in (limits.max_uploads is ${maxUploads}), and this one's metadata had not come when another sender needed its slot; try again in a moment`
  )
}
