import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { OutboxStore } from '../storage/outbox-store.js'
import type { SharedFileStore } from '../storage/shared-file-store.js'
import type { Logger } from '../values/logger.js'
import type { FileLayout } from './file-layout.js'
import type { Placement } from './placement.js'
import type { Quota } from './quota.js'

export interface RecoveryParts {
  readonly layout: FileLayout
  readonly files: SharedFileStore
  readonly outbox: OutboxStore
  readonly placement: Placement
  readonly quota: Quota
  readonly logger: Logger
}

/**
 * After a crash: files whose row says that they are being put in place are put there; what else lies in `.incoming~`
 * was never acknowledged and goes, as does what lies in `.outbox~` without an entry. Then the quota is counted.
 */
export async function recoverSharedFiles(parts: RecoveryParts): Promise<void> {
  const { layout, files, outbox, logger } = parts
  await mkdir(layout.incoming, { recursive: true })
  await mkdir(layout.outbox, { recursive: true })
  const placing = files.placing()
  for (const row of placing) await parts.placement.redo(row)
  const leftovers = await removeAllBut(layout.incoming, new Set())
  const strays = await removeAllBut(layout.outbox, new Set(outbox.ids()))
  parts.quota.add(files.totals().bytes + outbox.totals().bytes)
  if (placing.length + leftovers + strays > 0) {
    logger.info({ finished: placing.length, removed: leftovers + strays }, 'recovered shared files')
  }
}

async function removeAllBut(folder: string, keep: ReadonlySet<string>): Promise<number> {
  const names = (await readdir(folder)).filter(name => !keep.has(name))
  for (const name of names) await rm(join(folder, name), { recursive: true, force: true })
  return names.length
}
