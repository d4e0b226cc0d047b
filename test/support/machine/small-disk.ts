import { execFile } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { IS_ROOT, runAlone } from './own-namespace.js'

const run = promisify(execFile)

export interface SmallDisk {
  readonly path: string
  /** Takes all the room that is left, but for `spareBytes`. */
  fill(spareBytes?: number): Promise<void>
  /** Gives it back. */
  empty(): Promise<void>
  setReadOnly(isReadOnly: boolean): Promise<void>
  /** Makes a folder in it that is another file system. */
  mountWithin(name: string): Promise<void>
}

/** Set in a test that was started again within a namespace of its own, where it may mount. */
const INSIDE = 'TREELINE_TEST_OWN_MOUNTS'

/** Calls mount(2) and umount2(2) as they are: the commands of these names want to be root. */
const CALL = `
import ctypes, os, sys
text = lambda word: None if word == '' else word.encode()
name, *given = sys.argv[1:]
call = getattr(ctypes.CDLL(None, use_errno=True), name)
if name == 'mount':
    failed = call(*map(text, given[:3]), int(given[3]), text(given[4]))
else:
    failed = call(text(given[0]), int(given[1]))
if failed:
    sys.exit(f'{name}: {os.strerror(ctypes.get_errno())}')
`
const MS_RDONLY = 1
const MS_REMOUNT = 32
const MS_BIND = 4_096
const MNT_DETACH = 2

async function mount(source: string, path: string, type: string, flags: number, data: string): Promise<void> {
  await run('python3', ['-c', CALL, 'mount', source, path, type, String(flags), data])
}

async function unmount(path: string): Promise<void> {
  await run('python3', ['-c', CALL, 'umount2', path, String(MNT_DETACH)])
}

/**
 * Mounts a file system of its own for a test. Without root's rights the test is run by another process instead, in a
 * namespace in which its user may mount.
 * @param inodes most files and folders, its own one included
 * @returns undefined where the other process has run it; and off Linux, where it is skipped
 */
export async function mountSmallDisk(
  t: TestContext,
  mebibytes: number,
  inodes?: number
): Promise<SmallDisk | undefined> {
  if (process.platform !== 'linux') {
    t.skip('a disk to fill is mounted on Linux alone')
    return undefined
  }
  if (!IS_ROOT && process.env[INSIDE] === undefined) {
    await runWhereItMayMount(t)
    return undefined
  }
  const path = await mkdtemp(join(tmpdir(), 'treeline-disk-'))
  const most = inodes === undefined ? '' : `,nr_inodes=${inodes}`
  await mount('tmpfs', path, 'tmpfs', 0, `size=${mebibytes}m${most}`).catch(async (error: unknown) => {
    await rm(path, { recursive: true })
    throw error
  })
  let isReadOnlyNow = false
  const setReadOnly = async (isReadOnly: boolean) => {
    if (isReadOnly === isReadOnlyNow) return
    isReadOnlyNow = isReadOnly
    if (!isReadOnly) {
      await unmount(path)
      return
    }
    // On top of itself: the locks of the relay, which are open for writing, do not let the file system itself be read-only.
    await mount(path, path, '', MS_BIND, '')
    await mount('', path, '', MS_REMOUNT | MS_BIND | MS_RDONLY, '')
  }
  t.after(async () => {
    await setReadOnly(false)
    await unmount(path)
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
    setReadOnly,
    async mountWithin(name) {
      const folder = join(path, name)
      await mkdir(folder)
      await mount('tmpfs', folder, 'tmpfs', 0, 'size=1m,mode=755') // goes with the disk that it is in
    }
  }
}

/** Runs the test in a process that keeps its user and may mount. @throws {Error} when it fails there */
async function runWhereItMayMount(t: TestContext): Promise<void> {
  const namespace = ['--user', '--map-current-user', '--keep-caps', '--mount']
  await run('unshare', [...namespace, 'true']).catch((cause: unknown) => {
    throw new Error('this test mounts a disk to fill: run it as root, or let users make namespaces (unshare --user)', {
      cause
    })
  })
  await runAlone(t, namespace, { [INSIDE]: '1' })
}

function* zeros(mebibytes: number): Generator<Buffer> {
  for (let kibibytes = 0; kibibytes <= mebibytes * 1_024; kibibytes += 4) yield Buffer.alloc(4_096)
}
