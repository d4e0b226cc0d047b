import { rm } from 'node:fs/promises'

/** Removes a folder of a test. A process that still runs in it may make its lock file again meanwhile. */
export function removeFolder(folder: string): Promise<void> {
  return rm(folder, { recursive: true, force: true, maxRetries: 10 })
}
