import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const ENDING = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const

/**
 * Makes a folder for this user alone, and removes it at the end of `work`, also where a signal ends the process. For a
 * program that leaves these signals to their default action.
 * @param name that the name of the folder begins with
 */
export async function withTemporaryFolder<T>(name: string, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), `${name}-`))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  const end = (signal: NodeJS.Signals) => {
    remove()
    process.kill(process.pid, signal) // its handler is gone by now
  }
  for (const signal of ENDING) process.once(signal, end)
  try {
    return await work(folder)
  } finally {
    for (const signal of ENDING) process.off(signal, end)
    remove()
  }
}
