import { execFile } from 'node:child_process'
import { ROOT } from '../../file-system/permissions/root.js'
import { errorMessage } from '../../values/failures/system-error.js'
import type { FolderTrust, Owner } from './trusted-folder.js'

const NUMBER = /^\d{1,10}$/

/** The time that the system has to find a name: it may ask a directory over the network, which may hang for good. */
const NAMING_LIMIT_MS = 10_000

/** The exit code of `getent` for a name that there is not. */
const UNKNOWN = 2

/** The fields of an entry; undefined: no such name. */
type Found = readonly string[] | undefined

/**
 * Looks up `user` or `user:group`, names or numbers, as the system knows them (`getent`, so those of a directory count).
 * A user alone brings its own group; a number alone none (-1).
 * @throws {Error} when there is none of that name, or the system does not say so in time
 */
export async function findOwner(text: string, limitMs = NAMING_LIMIT_MS): Promise<Owner> {
  const [user = '', group] = text.split(':')
  const isNumber = NUMBER.test(user)
  const passwd = isNumber ? undefined : await entry('passwd', user, limitMs)
  const uid = isNumber ? Number(user) : Number(passwd?.[2])
  if (group !== undefined)
    return { uid, gid: NUMBER.test(group) ? Number(group) : Number((await entry('group', group, limitMs))[2]) }
  return { uid, gid: passwd === undefined ? -1 : Number(passwd[3]) }
}

/**
 * Finds whom the way to a destination is trusted to, for a process that may write anywhere, or give files away: it looks at who
 * else could change that way.
 * @param owner of the file that is to come @returns undefined for any other process
 */
export function trustFor(owner: Owner | undefined): FolderTrust | undefined {
  const uid = process.geteuid?.() ?? -1
  return uid === ROOT || (owner !== undefined && owner.uid !== uid) ? { uid, owner } : undefined
}

async function entry(database: 'passwd' | 'group', name: string, limitMs: number): Promise<readonly string[]> {
  const what = `${database === 'passwd' ? 'user' : 'group'} ${name}`
  const found = await askSystem(database, name, limitMs).catch((cause: unknown) => {
    throw new Error(`owner: cannot look up the ${what}: ${errorMessage(cause)}`, {
      cause
    })
  })
  if (found === undefined) throw new Error(`owner: the system knows no ${what}`)
  return found
}

/** @throws {Error} when it takes too long. The command is killed; one that even that does not end is left behind. */
function askSystem(database: 'passwd' | 'group', name: string, limitMs: number): Promise<Found> {
  return new Promise((resolve, reject) => {
    const child = execFile('getent', [database, name], (error, stdout) => {
      clearTimeout(limit)
      if (error === null) resolve(stdout.trim().split(':'))
      else if (error.code === UNKNOWN) resolve(undefined)
      else reject(error)
    })
    const limit = setTimeout(() => {
      child.kill('SIGKILL')
      child.stdout?.destroy()
      child.stderr?.destroy()
      child.unref()
      reject(
        new Error(
          `\`getent ${database} ${name}\` has not answered within ${limitMs / 1_000} s; is a directory (LDAP, sssd) away?`
        )
      )
    }, limitMs)
  })
}
