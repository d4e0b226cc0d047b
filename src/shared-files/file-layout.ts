import { join } from 'node:path'
import type { FileKey } from '../values/ids.js'

/** Where shared files lie on disk (contract, "What is stored"). `~` cannot occur in an id, so ours never meet a target's. */
export interface FileLayout {
  readonly root: string
  /** Files that are being received. */
  readonly incoming: string
  /** Files that wait for their next hop, named by their entry's id. */
  readonly outbox: string
}

export const METADATA_SUFFIX = '.metadata'

export function createFileLayout(root: string): FileLayout {
  return { root, incoming: join(root, '.incoming~'), outbox: join(root, '.outbox~') }
}

/** The folders above a file, from the topmost that may be missing down to its own. */
export function foldersOf(layout: FileLayout, key: FileKey): string[] {
  const target = join(layout.root, key.target)
  const files = join(target, 'files')
  return [target, files, join(files, key.source)]
}

export function folderOf(layout: FileLayout, key: FileKey): string {
  return `${layout.root}/${key.target}/files/${key.source}`
}

/** Existing agents download from exactly here. */
export function pathOf(layout: FileLayout, key: FileKey): string {
  return `${folderOf(layout, key)}/${key.fileId}`
}

/** One string per file: no id has a slash. */
export function keyName(key: FileKey): string {
  return `${key.target}/${key.source}/${key.fileId}`
}
