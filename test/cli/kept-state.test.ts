import assert from 'node:assert/strict'
import { appendFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { checkAgentStart, checkRelayStart } from '../../src/cli/checks/start-files-check.js'
import { loadAgentConfig } from '../../src/config/agent/agent-loader.js'
import { loadConfig } from '../../src/config/config-loader.js'
import { makeAgentFolder, makeRelayFolder } from '../support/parts/checked-folders.js'

test('what a relay kept and cannot start with is found, and nothing is changed', async t => {
  const config = loadConfig(await makeRelayFolder(t))
  const { storage, sharedFiles, general } = config
  const state = join(storage.path, 'state.db')
  const whole = await readFile(state)
  const newer = Buffer.from(whole)
  newer.writeUInt32BE(10_000, 60) // user_version
  const published = join(dirname(general.nodesListFile), 'published.json')
  await mkdir(dirname(published), { recursive: true })
  await mkdir(sharedFiles.path, { recursive: true })
  for (const [file, bytes, says] of [
    [state, '', /^the members of this tree are gone from state\.db in storage\.path/],
    [state, undefined, /^the members of this tree are gone from state\.db in storage\.path/],
    [state, 'junk', /^cannot use the database .*state\.db: it is damaged, or no database/],
    [state, whole.subarray(0, 60), /^cannot use the database .*state\.db: it is damaged, or no database/],
    [
      state,
      newer,
      /^cannot use the database .*state\.db: it has schema 10000, and this version .* install the newer one/
    ],
    [join(storage.path, 'node-id'), 'roo', /^storage\.path = \S+ belongs to the node roo, and this one is root/],
    [join(sharedFiles.path, '.node-id~'), 'other\n', /^shared_files\.path = \S+ belongs to the node other/],
    [published, '{"changes":', /published\.json does not say which members were handed down last: remove it/]
  ] as const) {
    const before = await readFile(file).catch(() => undefined)
    await (bytes === undefined ? rm(file) : writeFile(file, bytes))
    const names = await readdir(storage.path)
    const { problems } = await checkRelayStart(config)
    assert.equal(problems.length, 1, `${file}: ${problems.join('\n')}`)
    assert.match(problems[0] ?? '', says)
    assert.deepEqual(await readdir(storage.path), names)
    await (before === undefined ? rm(file) : writeFile(file, before))
  }
  assert.deepEqual((await checkRelayStart(config)).problems, [])
})

test('the same of an agent; its state may be new', async t => {
  const config = loadAgentConfig(await makeAgentFolder(t))
  const state = join(config.storage.path, 'state.db')
  await mkdir(config.storage.path, { recursive: true })
  await writeFile(state, '')
  assert.deepEqual((await checkAgentStart(config)).problems, [])
  await appendFile(state, 'junk')
  assert.match((await checkAgentStart(config)).problems.join(), /state\.db: it is damaged, .* start the agent again/)
  await writeFile(join(config.storage.path, 'node-id'), 'other')
  assert.match((await checkAgentStart(config)).problems.join(), /^storage\.path = \S+ belongs to the node other/)
})
