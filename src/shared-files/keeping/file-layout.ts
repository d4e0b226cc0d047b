import { join } from 'node:path'
import { ON_BEHALF } from '../../storage/folders/folder-kinds.js'
import type { FileKey } from '../../values/ids.js'

/**
 * The places of shared files on disk (contract, "What is stored"). `~` cannot occur in an id, so ours never meet a
 * target's.
 */
export interface FileLayout {
  readonly root: string
  /** Files that are being received. */
  readonly incoming: string
  /** Files that wait for their next hop, named by their entry's id. */
  readonly outbox: string
  /** Files without a row; nothing here is ever removed by the relay. */
  readonly lost: string
}

export const METADATA_SUFFIX = '.metadata'

export function createFileLayout(root: string): FileLayout {
  return { root, incoming: join(root, '.incoming~'), outbox: join(root, '.outbox~'), lost: join(root, 'lost~') }
}

/** A kept file, and where it lies. */
export interface PlacedKey extends FileKey {
  /** The relays between this one and the target, `/` between them; empty for a node of this relay. */
  readonly via: string
}

/** The folders above a file, from the topmost that may be missing down to its own. */
export function foldersOf(layout: FileLayout, key: PlacedKey): string[] {
  const folders: string[] = []
  let folder = layout.root
  const names = [...relaysOf(key.via).flatMap(relay => [relay, ON_BEHALF]), key.target, 'files', key.source]
  for (const name of names) {
    folder = join(folder, name)
    folders.push(folder)
  }
  return folders
}

export function folderOf(layout: FileLayout, key: PlacedKey): string {
  const own = `${key.target}/files/${key.source}`
  if (key.via === '') return `${layout.root}/${own}`
  const above = relaysOf(key.via).map(relay => `${relay}/${ON_BEHALF}/`)
  return `${layout.root}/${above.join('')}${own}`
}

/** Existing agents download from exactly here. */
export function pathOf(layout: FileLayout, key: PlacedKey): string {
  return `${folderOf(layout, key)}/${key.fileId}`
}

function relaysOf(via: string): string[] {
  return via === '' ? [] : via.split('/')
}

/** The name of a file's key, one string per file: no id has a slash. */
export function keyName(key: FileKey): string {
  return `${key.target}/${key.source}/${key.fileId}`
}
