import { statSync } from 'node:fs'

/** Whether there is a folder at `path`: where a database belongs, SQLite only says that it cannot be opened. */
export function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
