import assert from 'node:assert/strict'
import { chmod, chown, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { replaceContent, replaceWithUndo } from '../../src/file-exchange/atomic-write.js'
import { linkOrCopy } from '../../src/file-system/files/hard-link-or-copy.js'
import { testAsRoot } from '../support/machine/own-namespace.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

const SERVICE = 65_534
const IS_REFUSED = '/proc/sys/fs/protected_hardlinks'

/** Runs `work` as a user to whom the kernel refuses a second name for the files of others. */
async function asService(work: () => Promise<void>): Promise<void> {
  process.setegid?.(SERVICE)
  process.seteuid?.(SERVICE)
  try {
    await work()
  } finally {
    process.seteuid?.(0)
    process.setegid?.(0)
  }
}

testAsRoot('where a file can have no second name it is copied, and it can be replaced and put back', async t => {
  if ((await readFile(IS_REFUSED, 'utf8')).trim() !== '1') return t.skip('links to files of others are allowed here')
  const outer = await temporaryFolder(t)
  await chmod(outer, 0o711)
  const folder = join(outer, 'own')
  await mkdir(folder)
  await chown(folder, SERVICE, SERVICE)
  const path = join(folder, 'list')
  await writeFile(path, 'former')
  await chmod(path, 0o664)
  await asService(async () => {
    await linkOrCopy(path, join(folder, 'second'))
    assert.equal(await readFile(join(folder, 'second'), 'utf8'), 'former')
    const { mode, uid, nlink } = await stat(join(folder, 'second'))
    assert.deepEqual([mode & 0o777, uid, nlink], [0o644, SERVICE, 1])
    await assert.rejects(linkOrCopy(path, join(folder, 'second')), { code: 'EEXIST' })

    await (await replaceWithUndo(path, 'new')).undo()
    assert.equal(await readFile(path, 'utf8'), 'former')
  })
  await chown(path, 0, 0)
  await asService(async () => {
    await (await replaceWithUndo(path, 'new')).keep()
    assert.equal(await readFile(path, 'utf8'), 'new')
  })
  await chown(path, 0, 0)
  await asService(() => replaceContent(path, 'newer'))
  assert.equal(await readFile(path, 'utf8'), 'newer')
  assert.deepEqual(await readdir(folder), ['list', 'second'])
})
