import assert from 'node:assert/strict'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { checkRelayStart } from '../../src/cli/checks/start-files-check.js'
import { loadConfig } from '../../src/config/config-loader.js'
import { startTreeline } from '../support/machine/treeline-command.js'
import { makeRelayFolder } from '../support/parts/checked-folders.js'

test("a relay's signing key that is empty or none is warned of, and so is a start with it; none is no mistake", async t => {
  const folder = await makeRelayFolder(t)
  const key = join(folder, 'sign.key')
  const warnings = async () => (await checkRelayStart(loadConfig(folder))).warnings
  await writeFile(key, 'junk')
  assert.deepEqual(await warnings(), [`the key that signs files, ${key} cannot be used: it is no private key (PEM)`])
  await writeFile(key, '')
  const [warning = '', ...more] = await warnings()
  assert.match(
    warning,
    /^the key that signs files, \S+sign\.key cannot be used: it is empty, as after an interruption:/
  )
  assert.deepEqual(more, [])
  const file = join(folder, 'main.conf')
  const text = await readFile(file, 'utf8')
  const anyPort = text
    .replace(/^listen = .*$/m, 'listen = "127.0.0.1:0"')
    .replace(/^https_listen = .*$/m, 'https_listen = "127.0.0.1:0"')
  await writeFile(file, anyPort)
  const running = startTreeline(t, ['serve', '--config', folder])
  await running.printed('"ready"')
  assert.match(running.soFar(), /sign\.key cannot be used: it is empty[^\n]*"msg":"unusable signing key"/)
  await rm(key)
  assert.deepEqual(await warnings(), [])
})
