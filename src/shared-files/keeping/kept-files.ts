import type { Dirent, Stats } from 'node:fs'
import { opendir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as breathe } from 'node:timers/promises'
import { MAX_RELAYS, ON_BEHALF } from '../../storage/folders/folder-kinds.js'
import { isMissing } from '../../values/failures/system-error.js'
import { isFileId, isNodeId } from '../../values/ids.js'
import { type FileLayout, folderOf, METADATA_SUFFIX, type PlacedKey } from './file-layout.js'
import type { FileRecord } from './file-record.js'
import type { OwnFolders } from './own-folders.js'

/**
 * Walks `<target>/files/<source>/<file-id>`, a folder at a time, and the same below `<relay>/shared-files`.
 * @param stray told of what is no shared file
 */
export async function* keptFiles(
  layout: FileLayout,
  signal: AbortSignal,
  stray: (path: string) => void
): AsyncGenerator<PlacedKey> {
  yield* filesBelow(layout.root, [])

  async function* filesBelow(folder: string, relays: readonly string[]): AsyncGenerator<PlacedKey> {
    for await (const node of entries(folder, signal)) {
      if (!node.isDirectory() || !isNodeId(node.name)) continue
      for await (const part of entries(join(folder, node.name), signal)) {
        if (!part.isDirectory()) continue
        const path = join(folder, node.name, part.name)
        if (part.name === 'files') yield* filesOf(path, node.name, relays.join('/'))
        if (part.name !== ON_BEHALF) continue
        if (relays.length < MAX_RELAYS) yield* filesBelow(path, [...relays, node.name])
        else stray(path)
      }
    }
  }

  async function* filesOf(folder: string, target: string, via: string): AsyncGenerator<PlacedKey> {
    for await (const source of entries(folder, signal)) {
      if (!source.isDirectory() || !isNodeId(source.name)) continue
      for await (const file of entries(join(folder, source.name), signal)) {
        if (file.name.toLowerCase().endsWith(METADATA_SUFFIX)) continue
        if (file.isFile() && isFileId(file.name)) yield { target, source: source.name, fileId: file.name, via }
        else stray(join(folder, source.name, file.name))
      }
      await breathe()
    }
  }
}

async function* entries(folder: string, signal: AbortSignal): AsyncGenerator<Dirent> {
  try {
    for await (const entry of await opendir(folder)) {
      if (signal.aborted) return
      yield entry
    }
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}

/** Whether what lies at the place of a file can be what its row says, as far as that shows without reading it. */
export function isAsKept(found: Stats | undefined, row: Pick<FileRecord, 'sizeBytes'>): boolean {
  return found?.isFile() === true && found.size === row.sizeBytes
}

/** Removes a file and its metadata, as far as they are there. */
export async function removeKeptFile(folders: OwnFolders, layout: FileLayout, key: PlacedKey): Promise<void> {
  await unlessMissing(
    folders.enter(folderOf(layout, key), async at => {
      await unlessMissing(unlink(`${at}/${key.fileId}`))
      await unlessMissing(unlink(`${at}/${key.fileId}${METADATA_SUFFIX}`))
    })
  )
}

async function unlessMissing(work: Promise<void>): Promise<void> {
  await work.catch(error => {
    if (!isMissing(error)) throw error
  })
}
