import { execFile } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface SmallDisk {
  readonly path: string
  /** Takes all the room that is left, but for `spareBytes`. */
  fill(spareBytes?: number): Promise<void>
  /** Gives it back. */
  empty(): Promise<void>
  setReadOnly(isReadOnly: boolean): Promise<void>
}

/**
 * A file system of its own, mounted for the test.
 * @returns undefined where that can't be done: it needs Linux and root
 */
export async function mountSmallDisk(t: TestContext, mebibytes: number): Promise<SmallDisk | undefined> {
  const path = await mkdtemp(join(tmpdir(), 'treeline-disk-'))
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', path])
  } catch (error) {
    await rm(path, { recursive: true })
    t.skip(`no real disk to fill, which needs Linux and root: ${error instanceof Error ? error.message : error}`)
    return undefined
  }
  let isReadOnlyNow = false
  const setReadOnly = async (isReadOnly: boolean) => {
    if (isReadOnly === isReadOnlyNow) return
    isReadOnlyNow = isReadOnly
    if (!isReadOnly) {
      await run('umount', ['--lazy', path])
      return
    }
    // On top of itself: the locks of the relay, which are open for writing, do not let the file system itself be read-only.
    await run('mount', ['--bind', path, path])
    await run('mount', ['-o', 'remount,bind,ro', path])
  }
  t.after(async () => {
    await setReadOnly(false)
    await run('umount', ['--lazy', path])
    await rm(path, { recursive: true })
  })
  const filler = join(path, 'filler')
  return {
    path,
    async fill(spareBytes = 0) {
      await pipeline(Readable.from(zeros(mebibytes)), createWriteStream(filler)).catch(error => {
        if (error.code !== 'ENOSPC') throw error
      })
      if (spareBytes === 0) return
      const { size } = await stat(filler)
      await run('truncate', ['-s', String(size - spareBytes), filler])
    },
    empty: () => rm(filler),
    setReadOnly
  }
}

function* zeros(mebibytes: number): Generator<Buffer> {
  for (let kibibytes = 0; kibibytes <= mebibytes * 1_024; kibibytes += 4) yield Buffer.alloc(4_096)
}
