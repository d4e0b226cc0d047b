import { execFile } from 'node:child_process'
import { rename } from 'node:fs/promises'
import { promisify } from 'node:util'

/** Makes a FIFO that nobody writes to, in the place of what is there. */
export async function makeFifo(path: string): Promise<void> {
  const beside = `${path}.fifo`
  await promisify(execFile)('mkfifo', [beside])
  await rename(beside, path)
}
