import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { signatureFor } from '../../src/file-exchange/detached-signature.js'
import { readConfiguredFile, readNamedFile } from '../../src/file-exchange/places/named-file.js'
import { openRegularFile } from '../../src/file-exchange/places/regular-file-place.js'
import { StableFile } from '../../src/file-exchange/stable-file.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

const HOUR_S = 3_600

async function makeFifo(t: TestContext): Promise<{ folder: string; fifo: string }> {
  const folder = await temporaryFolder(t)
  const fifo = join(folder, 'fifo')
  await promisify(execFile)('mkfifo', [fifo])
  return { folder, fifo }
}

test('a FIFO in the place of a file is refused at once, although nobody writes to it', async t => {
  const { fifo } = await makeFifo(t)
  const refusal = { name: 'InputError', message: `${fifo} is a FIFO; name a file` }
  await assert.rejects(openRegularFile(fifo), refusal)
  await assert.rejects(StableFile.open(fifo, { name: '<path>' }), refusal)
  const named = { name: 'InputError', message: `key_file ${fifo} is a FIFO; name a file` }
  await assert.rejects(readConfiguredFile('key_file', fifo), named)
})

test('a FIFO, newer than the file, in the place of its signature is refused at once', async t => {
  const { folder, fifo } = await makeFifo(t)
  const path = join(folder, 'data')
  await writeFile(path, 'content')
  const nowS = Date.now() / 1_000
  await utimes(path, nowS - HOUR_S, nowS - HOUR_S)
  const file = await StableFile.open(path, { name: '<path>' })
  t.after(() => file.close())
  const key = { kind: 'ed25519', seed: randomBytes(32) } as const
  const made = signatureFor(file, fifo, key, { target: 'b', source: 'a', fileId: 'f' }, 'sha512')
  await assert.rejects(made, { message: `${fifo} is a FIFO; name a file` })
})

test('what else is no regular file is named: a folder, a device, a socket', async t => {
  const folder = await temporaryFolder(t)
  await assert.rejects(openRegularFile(folder), { message: `${folder} is a folder; name a file in it` })
  await assert.rejects(openRegularFile('/dev/null'), { message: '/dev/null is a device; name a file' })
  const socket = join(folder, 'socket')
  const server = createServer()
  await new Promise<void>(resolve => server.listen(socket, resolve))
  t.after(() => server.close())
  await assert.rejects(openRegularFile(socket), { message: `${socket} is a socket; name a file` })
})

test('an option may name a pipe, as a shell does for <(…)', async t => {
  const { fifo } = await makeFifo(t)
  const [text] = await Promise.all([readNamedFile('--token-file', fifo), writeFile(fifo, 'a token')])
  assert.equal(text, 'a token')
})
