import assert from 'node:assert/strict'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { findItself } from '../../src/file-system/files/if-there.js'
import { withTemporaryFolder } from '../../src/file-system/folders/temporary-folder.js'
import { startProcess, temporaryFolder } from '../support/machine/treeline-command.js'

const SOURCE = join(import.meta.dirname, '../../src/file-system/folders/temporary-folder.ts')
const WAITER = `
import { withTemporaryFolder } from ${JSON.stringify(SOURCE)}
setInterval(() => undefined, 1000)
await withTemporaryFolder('waiting', async folder => { console.log(folder); await new Promise(() => undefined) })
`

test('a temporary folder is for this user alone, and is gone at the end of the work, also of one that fails', async () => {
  let made = ''
  const before = process.listenerCount('SIGINT')
  const work = withTemporaryFolder('failing', async folder => {
    made = folder
    assert.equal((await stat(folder)).mode & 0o777, 0o700)
    throw new Error('failed')
  })
  await assert.rejects(work, { message: 'failed' })
  assert.equal(await findItself(made), undefined)
  assert.equal(process.listenerCount('SIGINT'), before)
})

test('a temporary folder goes with a process that a signal ends', async t => {
  const folder = await temporaryFolder(t)
  const args = ['--import', 'tsx', '--input-type=module', '--eval', WAITER]
  const waiter = startProcess(t, process.execPath, args, { TMPDIR: folder })
  await waiter.printed('waiting-')
  waiter.child.kill('SIGINT')
  await waiter.ended
  assert.equal(waiter.child.signalCode, 'SIGINT')
  assert.deepEqual(
    (await readdir(folder)).filter(name => name.startsWith('waiting-')),
    []
  )
})
