import { constants } from 'node:fs'
import { link, open, rm } from 'node:fs/promises'
import { errorCode } from '../../values/failures/system-error.js'
import { kindOf } from './regular-file.js'

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants
const PERMISSIONS = 0o777
const OF_OWNER = 0o700
const OF_OTHERS = 0o007
const PRIVATE = 0o600

/**
 * The codes of link() where the file system has no second names for a file; and EPERM where the kernel gives a file of
 * another user none (fs.protected_hardlinks).
 */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']

/** Whether a failed link() says that the file can have no second name, here or by this user. */
export function refusesHardLink(error: unknown): boolean {
  return NO_LINKS.includes(errorCode(error) ?? '')
}

/**
 * Gives a regular file a second name; where it can have none, that name gets a copy with its mode, and its owner as far as
 * this process may give it. The content is on the disk then.
 * @throws {Error} with code EEXIST when the second name is taken
 */
export async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch (error) {
    if (!refusesHardLink(error)) throw error
    await copy(from, to)
  }
}

async function copy(from: string, to: string): Promise<void> {
  const source = await open(from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    const found = await source.stat()
    if (!found.isFile()) throw new Error(`${from} is ${kindOf(found)}, where a file belongs`)
    const target = await open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, PRIVATE)
    try {
      const end = Math.max(found.size - 1, 0) // one that grows as fast as it is read has no end
      for await (const chunk of source.createReadStream({ end })) await target.writeFile(chunk)
      const isGiven = await target.chown(found.uid, found.gid).then(
        () => true,
        () => false
      )
      await target.chmod(isGiven ? found.mode & PERMISSIONS : withoutGroup(found.mode))
      await target.sync()
    } catch (error) {
      await rm(to, { force: true })
      throw error
    } finally {
      await target.close()
    }
  } finally {
    await source.close()
  }
}

/** A mode that lets the group do what all others may: the file is of another group. */
function withoutGroup(mode: number): number {
  return mode & (OF_OWNER | OF_OTHERS | ((mode & OF_OTHERS) << 3))
}
