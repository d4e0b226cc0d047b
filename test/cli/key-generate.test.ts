import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder, treeline } from '../support/machine/treeline-command.js'

test('keys are all written, or none: the next attempt finds nothing in its way', async t => {
  const folder = await temporaryFolder(t)
  const generate = () => treeline(t, ['key', 'generate', '--out', folder])
  await writeFile(join(folder, 'treeline-seal.pub'), '')
  const { code, stdout, stderr } = await generate()
  assert.deepEqual([code, stdout], [2, ''])
  assert.match(stderr, /treeline-seal\.pub is there already, and empty/)
  assert.deepEqual(await readdir(folder), ['treeline-seal.pub'])
})
