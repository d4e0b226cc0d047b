import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { chown, lchown, mkdir, rename, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { findStream } from '../../src/file-exchange/places/stream-place.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

const IS_ROOT = process.getuid?.() === 0
/** Another user than the one that writes: without root, the own user stands for that one. */
const SOMEONE = IS_ROOT ? 4_242 : (process.getuid?.() ?? 0)
const WRITER = IS_ROOT ? 0 : SOMEONE + 1

async function makeFifo(t: TestContext) {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, 'home'))
  const fifo = join(folder, 'home', 'fifo')
  await promisify(execFile)('mkfifo', [fifo])
  return { folder, fifo }
}

test('a FIFO of another user is not written to, and neither is what their link leads to', async t => {
  const { folder, fifo } = await makeFifo(t)
  const link = join(folder, 'link')
  await symlink(fifo, link)
  assert.notEqual(await findStream(link, SOMEONE), undefined)
  if (IS_ROOT) {
    await lchown(link, SOMEONE, SOMEONE)
    await assert.rejects(findStream(link, WRITER), /link is a symbolic link of user 4242 and is not followed/)
    await lchown(link, 0, 0)
    await symlink(join(folder, 'home'), join(folder, 'way'))
    await lchown(join(folder, 'way'), SOMEONE, SOMEONE)
    await assert.rejects(findStream(join(folder, 'way', 'fifo'), WRITER), /way is a symbolic link of user 4242/)
    await chown(fifo, SOMEONE, SOMEONE)
  }
  const refusal = {
    name: 'InputError',
    message: `${link} is a FIFO of user ${SOMEONE} and is not written to; name a file, or /dev/stdout and redirect that`
  }
  await assert.rejects(findStream(link, WRITER), refusal)
})

test('what takes the place of the FIFO after it was looked at is not written to', async t => {
  const { folder, fifo } = await makeFifo(t)
  const openStream = await findStream(fifo)
  assert.ok(openStream)
  const other = join(folder, 'other')
  await promisify(execFile)('mkfifo', [other])
  await rename(other, fifo)
  const read = text(createReadStream(fifo))
  await assert.rejects(openStream(), /fifo was replaced while the file was fetched/)
  assert.equal(await read, '')
})
