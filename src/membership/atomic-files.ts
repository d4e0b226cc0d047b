import { randomBytes } from 'node:crypto'
import { open, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { syncFolder } from '../values/files/sync-folder.js'

/**
 * Replaces the content of a file that a user may have changed: its mode and owner stay (there may be a password in it),
 * and a symbolic link stays one.
 */
export async function replaceContent(file: string, content: string): Promise<void> {
  const path = await realpath(file)
  const { mode, uid, gid } = await stat(path)
  await writeFileAtOnce(path, content, mode & 0o777, { uid, gid })
}

/** Replaces a file at once and durably, unless it has that content. @returns whether it did not */
export async function writeFileAtOnce(
  path: string,
  content: string,
  mode = 0o644,
  owner?: { readonly uid: number; readonly gid: number }
): Promise<boolean> {
  if ((await readIfThere(path)) === content) return false
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}~`)
  try {
    const file = await open(temporary, 'wx', mode)
    try {
      if (owner !== undefined && process.geteuid?.() === 0) await file.chown(owner.uid, owner.gid)
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    await syncFolder(dirname(path))
    return true
  } finally {
    await rm(temporary, { force: true })
  }
}

/** Undefined when there is no such file. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
