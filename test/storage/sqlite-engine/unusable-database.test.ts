import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { lchown, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openDatabase } from '../../../src/storage/sqlite-engine/database.js'
import { makeFifo } from '../../support/machine/make-fifo.js'
import { testAsRoot } from '../../support/machine/own-namespace.js'
import { mountSmallDisk } from '../../support/machine/small-disk.js'

test('what to do about a damaged state.db is said for the program that has it', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'treeline-damaged-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = join(folder, 'state.db')
  await writeFile(file, 'no database'.repeat(1_000))
  const messageOf = (open: () => unknown) => {
    let message = ''
    assert.throws(open, (error: Error) => {
      message = error.message
      return true
    })
    return message
  }
  const ofAgent = messageOf(() => openDatabase(file, 'state', 'agent'))
  assert.match(ofAgent, /damaged, or no database\. Keep it and .* elsewhere, and start the agent again/)
  assert.doesNotMatch(ofAgent, /relay|root|lost~/)
  assert.match(
    messageOf(() => openDatabase(file, 'state')),
    /put a copy from a backup in its place\. .* nodes restore/
  )
})

test('what is in the place of a database, and is no file, is named, and not opened', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'treeline-obstacle-'))
  t.after(() => rm(folder, { recursive: true }))
  for (const [kind, make] of [
    ['a FIFO', makeFifo],
    ['a folder', (path: string) => mkdir(path)]
  ] as const) {
    for (const end of ['', '-wal', '-shm']) {
      const file = join(folder, `${kind}${end}.db`)
      await make(file + end)
      assert.throws(() => openDatabase(file, 'state'), {
        message: new RegExp(`is ${kind}, and should be a file: move it away`)
      })
    }
  }
})

testAsRoot('a link of another user in the place of a database, or beside it, is not followed', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'treeline-link-'))
  t.after(() => rm(folder, { recursive: true }))
  const target = join(folder, 'target')
  for (const end of ['', '-wal', '-shm']) {
    const file = join(folder, `state${end}.db`)
    await symlink(target, file + end)
    await lchown(file + end, 4_242, 4_242)
    for (const use of ['state', 'topology', 'agent'] as const) {
      assert.throws(() => openDatabase(file, use === 'topology' ? 'topology' : 'state', use), {
        message: /is a symbolic link of user 4242, and should be a file: move it away/
      })
    }
    assert.equal(existsSync(target), false)
  }
  const own = join(folder, 'own.db')
  await symlink(target, own)
  openDatabase(own, 'state').close()
  assert.equal(existsSync(target), true)
})

test('where no file can be made, or used, for a database, what the system says is told', async t => {
  const disk = await mountSmallDisk(t, 1, 3)
  if (disk === undefined) return
  const file = join(disk.path, 'state.db')
  for (const name of ['one', 'two']) await writeFile(join(disk.path, name), '')
  const full = { message: /the disk that holds storage\.path \(\S+\) is full; .* \(or inodes, see df -i\)/ }
  assert.throws(() => openDatabase(file, 'state'), full)
  await rm(join(disk.path, 'one'))
  assert.throws(() => openDatabase(file, 'state'), full, 'there is room for the database alone, without its log')
  await rm(join(disk.path, 'two'))
  await disk.setReadOnly(true)
  assert.throws(() => openDatabase(file, 'state'), { message: /is on a file system that is read-only now/ })
})
