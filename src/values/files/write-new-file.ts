import { open } from 'node:fs/promises'

/** Writes a file that must not exist yet, to the disk itself. @throws {Error} with code EEXIST when it does */
export async function writeNewFile(path: string, content: string, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}
