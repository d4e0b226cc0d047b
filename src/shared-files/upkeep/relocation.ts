import { setImmediate as breathe } from 'node:timers/promises'
import type { Neighbours } from '../../hops/hop.js'
import type { CurrentTopology } from '../../tree/topology.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { isMissing } from '../../values/failures/system-error.js'
import type { FileKey } from '../../values/ids.js'
import type { Logger } from '../../values/logging/logger.js'
import type { Forwarding } from '../forwarding/forwarding.js'
import { relaysOnTheWay } from '../forwarding/on-behalf.js'
import { folderOf, keyName } from '../keeping/file-layout.js'
import type { StoredFile } from '../keeping/file-record.js'
import type { Keeping } from '../keeping/keeping.js'
import { SpoolFile } from '../keeping/spool-file.js'
import { sourceKeyHash } from '../receiving/metadata-checks.js'

/** Rows of one step, see `purge-files.ts`. */
const STEP = 64
/** The request that brought it is long over. */
const HANDED_OVER = 'handed-over'
const BEFORE_ALL: FileKey = { target: '', source: '', fileId: '' }

export interface RelocationParts
  extends Pick<Keeping, 'layout' | 'folders' | 'files' | 'placement' | 'lock' | 'nextSpoolName' | 'now'>,
    Pick<Forwarding, 'outbox'> {
  readonly topology: CurrentTopology
  readonly neighbours: Neighbours
  /** The outbox may have something that can be tried now. */
  readonly wakeOutbox: () => void
  readonly logger: Logger
}

type Belongs = { readonly kind: 'at'; readonly via: string } | { readonly kind: 'outbox' } | undefined

/** Brings kept files to where they belong since the tree has changed, or a relay below has. */
export class Relocation {
  constructor(private readonly parts: RelocationParts) {}

  /** Looks at all of them, in small steps. */
  moveAll(signal: AbortSignal): Promise<void> {
    return this.#moveThose(key => this.parts.files.page(key, STEP), signal)
  }

  /** Hands over the files that are kept on behalf of a relay that can take them itself now: it has opened a link. */
  handOver(relay: string, signal: AbortSignal): Promise<void> {
    return this.#moveThose(key => this.parts.files.pageOnBehalf(relay, key, STEP), signal)
  }

  async #moveThose(rowsAfter: (key: FileKey) => Promise<readonly StoredFile[]>, signal: AbortSignal): Promise<void> {
    let moved = 0
    for (let last: FileKey | undefined = BEFORE_ALL; last !== undefined && !signal.aborted; ) {
      const rows = await rowsAfter(last)
      last = rows.at(-1)
      moved += await this.#move(rows)
      await breathe()
    }
    if (moved === 0) return
    this.parts.logger.info({ files: moved }, 'moved shared files to their new places')
    this.parts.wakeOutbox()
  }

  async #move(rows: readonly StoredFile[]): Promise<number> {
    const { now, logger } = this.parts
    let moved = 0
    for (const row of rows) {
      if (row.expiresAtMs <= now()) continue
      try {
        if (await this.#moveRow(row)) moved += 1
      } catch (error) {
        // The tree changes meanwhile, its source is not known here, or someone removed it.
        if (error instanceof RelayError || isMissing(error)) continue
        logger.warn({ err: error, file: keyName(row) }, 'cannot move a shared file to its new place')
      }
    }
    return moved
  }

  async #moveRow(seen: StoredFile): Promise<boolean> {
    const { layout, folders, files, topology, placement, outbox, lock, nextSpoolName, now } = this.parts
    const belongs = this.#placeFor(seen)
    if (belongs === undefined || (belongs.kind === 'at' && belongs.via === seen.via)) return false
    const release = lock.tryAcquire(keyName(seen))
    if (release === undefined) return false // it is being replaced: the next look sees it
    const file = new SpoolFile(layout, folders, nextSpoolName(), true)
    try {
      const row = await files.find(seen)
      if (row === undefined || row.storedAtMs !== seen.storedAtMs) return false
      await folders.enter(folderOf(layout, row), at => file.linkTo(`${at}/${row.fileId}`))
      const bytes = { file, inMemory: undefined }
      if (belongs.kind === 'at') return (await placement.place({ ...row, via: belongs.via }, bytes)) === 'stored'
      const keyHash = sourceKeyHash(row.source, topology(), undefined)
      await outbox.add(row, bytes, { keyHash, passed: '', requestId: HANDED_OVER }, now(), 'its relay can take it now')
      await placement.removeKept(row)
      return true
    } finally {
      await file.discard()
      release()
    }
  }

  /** @returns undefined when it can stay where it is until it expires */
  #placeFor(row: StoredFile): Belongs {
    const { topology, neighbours } = this.parts
    const route = topology().route(row.target)
    if (route.kind === 'here') return { kind: 'at', via: '' }
    if (route.kind !== 'down') return undefined
    if (row.via !== '' && neighbours.linked(route.hop) !== undefined) return { kind: 'outbox' }
    if (neighbours.down(route.hop).dialect.keepsFilesForNodesBelow) return undefined
    return { kind: 'at', via: relaysOnTheWay(row.target, topology()) }
  }
}
