import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as breathe } from 'node:timers/promises'
import { keyHashOf, rsaKey, type TestRelay } from '../parts/shared-file-relays.js'

/** A signal that never comes. */
export const SIGNAL = new AbortController().signal

const keyHash = keyHashOf(rsaKey)

/** root – n1, old (– n2, deep (– n3)), other */
export const node = (id: string, policyServer: string) => ({ id, policyServer, keyHash })

export const TREE = [
  node('root', 'root'),
  node('n1', 'root'),
  node('old', 'root'),
  node('other', 'root'),
  node('o1', 'other'),
  node('n2', 'old'),
  node('deep', 'old'),
  node('n3', 'deep')
]

/** The place of the file n2/n1/f below `shared_files.path`. */
export const AT_OLD = 'old/shared-files/n2/files/n1/f'

export const shared = (relay: Pick<TestRelay, 'folder'>, path = '') => join(relay.folder, 'shared-files', path)

export const content = (relay: Pick<TestRelay, 'folder'>, path: string) => readFileSync(shared(relay, path), 'utf8')

export const isThere = (relay: Pick<TestRelay, 'folder'>, path: string) =>
  existsSync(shared(relay, path)) || existsSync(`${shared(relay, path)}.metadata`)

/** Waits until the relay itself says so: it works in the background. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await breathe()
}
