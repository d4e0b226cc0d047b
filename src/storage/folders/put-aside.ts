import { existsSync, renameSync, rmSync } from 'node:fs'

/** The endings of the files that SQLite keeps beside a database. */
const BESIDE = ['-wal', '-shm']

/**
 * Takes a damaged database that can be made anew out of the way. The newest one that was damaged is kept, for whoever
 * wants to know how.
 * @returns its new name
 */
export function putAside(file: string): string {
  const aside = `${file}.damaged~`
  for (const suffix of ['', ...BESIDE]) {
    rmSync(aside + suffix, { force: true, recursive: true })
    if (existsSync(file + suffix)) renameSync(file + suffix, aside + suffix)
  }
  return aside
}
