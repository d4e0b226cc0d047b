import assert from 'node:assert/strict'
import { chownSync, existsSync, lchownSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { appendText } from '../../src/file-exchange/places/append-text.js'
import { makeFifo } from '../support/machine/make-fifo.js'
import { testAsRoot } from '../support/machine/own-namespace.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

const SOMEONE = 4_242

test('texts are added to a file, which is made where there is none, by way of links of the own user', async t => {
  const folder = await temporaryFolder(t)
  const [file, link] = [join(folder, 'file'), join(folder, 'link')]
  await appendText(file, 'one\n')
  symlinkSync(file, link)
  await Promise.all([appendText(file, 'two\n'), appendText(link, 'three\n')])
  assert.deepEqual(readFileSync(file, 'utf8').split('\n').sort(), ['', 'one', 'three', 'two'])
})

test('nothing is added to a FIFO, nor where a link or a folder leads nowhere', async t => {
  const folder = await temporaryFolder(t)
  const [fifo, link] = [join(folder, 'fifo'), join(folder, 'link')]
  await makeFifo(fifo)
  symlinkSync(join(folder, 'missing'), link)
  await assert.rejects(appendText(fifo, 'x'), { name: 'InputError', message: `${fifo} is a FIFO; name a file` })
  await assert.rejects(appendText(link, 'x'), { name: 'InputError', message: /link is a symbolic link to \S+missing/ })
  await assert.rejects(appendText(join(folder, 'none', 'x'), 'x'), /there is no folder \S+none/)
})

testAsRoot('root adds nothing to what a link of another user leads to, and makes nothing there', async t => {
  const folder = await temporaryFolder(t)
  const theirs = join(folder, 'home')
  mkdirSync(theirs)
  chownSync(theirs, SOMEONE, SOMEONE)
  const file = join(folder, 'of-root')
  writeFileSync(file, '# of root\n', { mode: 0o644 })
  for (const [name, target] of [
    ['file', file],
    ['missing', join(folder, 'missing')]
  ] as const) {
    const link = join(theirs, name)
    symlinkSync(target, link)
    lchownSync(link, SOMEONE, SOMEONE)
    await assert.rejects(appendText(link, 'x'), { name: 'InputError', message: /is a symbolic link of user 4242/ })
  }
  assert.equal(readFileSync(file, 'utf8'), '# of root\n')
  assert.ok(!existsSync(join(folder, 'missing')))
})
