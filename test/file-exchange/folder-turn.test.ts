import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { takeTurn } from '../../src/file-exchange/folder-turn.js'
import { HeldFolder } from '../../src/file-system/folders/held-folder.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

const signal = new AbortController().signal
const OPTIONS = { name: '.sign~', work: 'import', limitMs: 60_000, signal, onWait: () => undefined }

async function held(t: TestContext) {
  const path = await temporaryFolder(t)
  const folder = await HeldFolder.open(path)
  t.after(() => folder.close())
  return { path, folder }
}

test('turns in a folder come one after the other, and the last leaves nothing there', async t => {
  const { path, folder } = await held(t)
  let isHeld = false
  const waits: number[] = []
  const options = { ...OPTIONS, onWait: () => void waits.push(1) }
  const work = async () => {
    const end = await takeTurn(folder, options)
    assert.equal(isHeld, false)
    isHeld = true
    await readdir(path)
    isHeld = false
    end()
  }
  await Promise.all(Array.from({ length: 8 }, work))
  assert.ok(waits.length > 0)
  assert.deepEqual(await readdir(path), [])
})

test('a turn that does not end is named, and so is a file that has the place of its sign', async t => {
  const { path, folder } = await held(t)
  const end = await takeTurn(folder, OPTIONS)
  await assert.rejects(
    takeTurn(folder, { ...OPTIONS, limitMs: 1 }),
    /^ClientError: another import has been under way in/
  )
  end()
  await writeFile(join(path, '.sign~'), 'of someone')
  await assert.rejects(takeTurn(folder, OPTIONS), /\.sign~ is no socket, which is made there for import: move it away/)
  assert.equal(await readFile(join(path, '.sign~'), 'utf8'), 'of someone')
})
