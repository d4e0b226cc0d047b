import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Owner } from './trusted-folder.js'

const run = promisify(execFile)
const NUMBER = /^\d{1,10}$/

/**
 * Looks up `user` or `user:group`, names or numbers, as the system knows them (`getent`, so those of a directory count).
 * A user alone brings its own group; a number alone none (-1).
 * @throws {Error} when there is none of that name
 */
export async function findOwner(text: string): Promise<Owner> {
  const [user = '', group] = text.split(':')
  const isNumber = NUMBER.test(user)
  const passwd = isNumber ? undefined : await entry('passwd', user)
  const uid = isNumber ? Number(user) : Number(passwd?.[2])
  if (group !== undefined)
    return { uid, gid: NUMBER.test(group) ? Number(group) : Number((await entry('group', group))[2]) }
  return { uid, gid: passwd === undefined ? -1 : Number(passwd[3]) }
}

async function entry(database: 'passwd' | 'group', name: string): Promise<string[]> {
  try {
    const { stdout } = await run('getent', [database, name])
    return stdout.trim().split(':')
  } catch (cause) {
    throw new Error(`owner: the system knows no ${database === 'passwd' ? 'user' : 'group'} ${name}`, { cause })
  }
}
