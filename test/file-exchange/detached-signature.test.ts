import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { signatureFor } from '../../src/file-exchange/detached-signature.js'
import { StableFile } from '../../src/file-exchange/stable-file.js'
import { formatMetadata } from '../../src/keys/signatures/file-metadata.js'
import { signFile } from '../../src/keys/signatures/sign-file.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

const DAY_MS = 86_400_000
const FILE_KEY = { target: 'b', source: 'a', fileId: 'f' }

test('a signature is later than the kept one, which was made while the clock was ahead', async t => {
  const folder = await temporaryFolder(t)
  const [path, signature] = [join(folder, 'data'), join(folder, 'data.sign')]
  const key = { kind: 'ed25519', seed: randomBytes(32) } as const
  const aheadMs = Date.now() + DAY_MS
  const keep = async (signedWith: typeof key) => {
    const hashValue = createHash('sha512').update('former').digest('hex')
    const kept = signFile(signedWith, FILE_KEY, { signedAtMs: aheadMs, algorithm: 'sha512', hashValue }, {})
    await writeFile(signature, formatMetadata(kept))
    await utimes(signature, aheadMs / 1_000, aheadMs / 1_000)
  }
  await writeFile(path, 'changed')
  const file = await StableFile.open(path, { name: '<path>' })
  t.after(() => file.close())
  const sign = () => signatureFor(file, signature, key, FILE_KEY, 'sha512')

  await keep(key)
  const made = await sign()
  assert.equal(made.signedAtMs, aheadMs + 1)
  assert.equal(made.hashValue, createHash('sha512').update('changed').digest('hex'))

  await keep({ kind: 'ed25519', seed: randomBytes(32) })
  const byOther = await sign()
  assert.ok((byOther.signedAtMs ?? Number.POSITIVE_INFINITY) < aheadMs, 'the time that another key signed says nothing')

  await writeFile(signature, 'x'.repeat(100_000))
  assert.equal((await sign()).hashValue, made.hashValue, 'no signature at all')
})
