import { syncFolder } from '../../file-system/folders/sync-folder.js'

/**
 * Makes names in a folder durable. Calls that come while a folder is being synced share the next sync: what was renamed
 * before the call is in it.
 * @returns a function that resolves once the folder, as it is at the time of the call, is on disk
 */
export function createFolderSync(): (folder: string) => Promise<void> {
  const running = new Map<string, Promise<void>>()
  const next = new Map<string, Promise<void>>()

  async function start(folder: string): Promise<void> {
    const work = syncFolder(folder).finally(() => running.delete(folder))
    running.set(folder, work)
    await work
  }

  return folder => {
    const current = running.get(folder)
    if (current === undefined) return start(folder)
    const waiting = next.get(folder)
    if (waiting !== undefined) return waiting
    const following = current
      .catch(() => undefined) // its own callers hear of it; these wait for a sync of their own
      .then(() => {
        next.delete(folder)
        return start(folder)
      })
    next.set(folder, following)
    return following
  }
}
