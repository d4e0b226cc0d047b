import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { mkdir, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { MAX_NAMES_SEEN, temporaryName } from '../../src/file-system/files/leftovers.js'
import { makeReceiver, put } from '../support/work/receivers.js'

const HOUR_MS = 3_600_000

/** Makes a folder with so many names that a download looks at few of them, among them what killed agents left. @returns the other names */
async function makeLongFolder(path: string): Promise<string[]> {
  await mkdir(path)
  const ended = spawnSync('true').pid
  const leftovers = Array.from({ length: 20 }, () => temporaryName('one').replace(`${process.pid}-`, `${ended}-`))
  const others = Array.from({ length: MAX_NAMES_SEEN + 200 }, (_, index) => `other${index}`)
  for (const name of [...leftovers, ...others]) writeFileSync(join(path, name), '')
  return others
}

test('what killed agents left beside a file goes at the first look, however long its folder is', async t => {
  const { folder, relay, start } = await makeReceiver(t, own => [[join(own, 'long', 'one')]])
  const long = join(folder, 'long')
  const others = await makeLongFolder(long)
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() + HOUR_MS })
  put(relay, 'new', Date.now())
  assert.equal(await (await start())(0), true)
  assert.deepEqual((await readdir(long)).sort(), ['one', ...others].sort())
})

test('what killed agents left goes also from a folder that is made, or takes the place of another one, later', async t => {
  const { folder, relay, start } = await makeReceiver(t, own => [[join(own, 'long', 'one')]])
  const long = join(folder, 'long')
  put(relay, 'new', Date.now())
  const receive = await start()
  await assert.rejects(receive(0))
  const [made, other] = [await makeLongFolder(long), await makeLongFolder(join(folder, 'other'))]
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() + HOUR_MS })
  assert.equal(await receive(0), true)
  assert.deepEqual((await readdir(long)).sort(), ['one', ...made].sort())
  await rename(long, `${long}~`)
  await rename(join(folder, 'other'), long)
  assert.equal(await receive(0), true)
  assert.deepEqual((await readdir(long)).sort(), ['one', ...other].sort())
})
