import type { Neighbours } from '../../hops/hop.js'
import type { CurrentTopology } from '../../tree/topology.js'
import type { FileKey } from '../../values/ids.js'
import type { Logger } from '../../values/logging/logger.js'
import type { Forwarding } from '../forwarding/forwarding.js'
import type { Keeping } from '../keeping/keeping.js'
import type { SharedFilesObserver } from '../shared-files-observer.js'
import { createLostCounter, type LostCounter, type LostFiles } from './lost-files.js'
import { dropRowsWithoutFile } from './missing-files.js'
import { type PurgeParts, purgeExpired } from './purge-files.js'
import { recheckFile, reconcile } from './reconciliation.js'
import { recoverSharedFiles } from './recover-files.js'
import { Relocation } from './relocation.js'

/** Rows whose files are looked for before the first request: well below 100 ms. The rest follows beside requests. */
const ROWS_BEFORE_START = 2_048

export interface UpkeepOptions {
  readonly topology: CurrentTopology
  readonly neighbours: Neighbours
  readonly logger: Logger
  readonly observer: SharedFilesObserver
  /** Ends what is under way. */
  readonly stopping: AbortSignal
}

/** Keeps folder, rows and tree in line, beside requests. */
export class Upkeep {
  readonly #parts: PurgeParts
  readonly #lost: LostCounter
  readonly #relocation: Relocation
  #uncheckedAfter: FileKey | undefined
  #compared: Promise<void> = Promise.resolve()

  constructor(
    private readonly keeping: Keeping,
    forwarding: Forwarding,
    private readonly options: UpkeepOptions
  ) {
    const { topology, neighbours, logger } = options
    const { outbox, outboxRepository, worker } = forwarding
    this.#parts = { ...keeping, outbox, outboxRepository, logger }
    this.#lost = createLostCounter(keeping.layout, keeping.quota, logger)
    this.#relocation = new Relocation({
      ...this.#parts,
      ...keeping,
      topology,
      neighbours,
      wakeOutbox: () => worker.pump()
    })
  }

  /** Files without a record, as they were counted last. */
  get lost(): LostFiles {
    return this.#lost.found
  }

  /** Finishes or undoes what a crash left, and looks whether the files of the first rows are there. */
  async recover(): Promise<void> {
    await recoverSharedFiles({ ...this.#parts, placement: this.keeping.placement, lost: this.#lost })
    const maxRows = ROWS_BEFORE_START
    this.#uncheckedAfter = await dropRowsWithoutFile(this.#parts, this.options.stopping, { maxRows })
  }

  /** Brings the rows in line with what happened to the folder while this relay did not run. Never rejects. */
  compare(): Promise<void> {
    this.#compared = this.#compareWithDisk()
    return this.#compared
  }

  /** @returns how many files had expired, and are removed */
  async purge(signal: AbortSignal): Promise<number> {
    const { stopping, observer } = this.options
    await this.#compared // or it would go by the row of a file that was replaced meanwhile
    const began = performance.now()
    this.keeping.folders.forget() // owners and modes may have been changed
    const both = AbortSignal.any([signal, stopping])
    const files = await purgeExpired(this.#parts, both)
    await dropRowsWithoutFile(this.#parts, both, { isCompared: true })
    await this.#relocation.moveAll(both)
    await this.#lost.count() // the operator may have removed some
    observer.onPurged?.(files, performance.now() - began)
    return files
  }

  /** Judges a kept file again, see {@link recheckFile}. @returns whether it is as its row says */
  recheckFile(key: FileKey): Promise<boolean> {
    return recheckFile(this.#parts, key)
  }

  /** Hands a relay below, which has opened a link, the files that are kept on its behalf. Never rejects. */
  async handOver(hop: string): Promise<void> {
    try {
      await this.#relocation.handOver(hop, this.options.stopping)
    } catch (error) {
      this.options.logger.error({ err: error, hop }, 'cannot hand over files kept for a relay')
    }
  }

  async #compareWithDisk(): Promise<void> {
    const { stopping, logger } = this.options
    const after = this.#uncheckedAfter
    try {
      if (after !== undefined) await dropRowsWithoutFile(this.#parts, stopping, { after })
      await reconcile(this.#parts, stopping)
      await this.#relocation.moveAll(stopping)
    } catch (error) {
      logger.error({ err: error }, 'cannot compare shared files with the database')
    }
  }
}
