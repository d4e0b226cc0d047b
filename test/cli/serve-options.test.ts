import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { DEFAULT_CONFIG_DIRECTORY, readServeOptions } from '../../src/cli/serve-options.js'
import { temporaryFolder, treeline } from '../support/treeline-command.js'

test('serve is understood with and without its name', () => {
  for (const args of [
    ['serve', '-c', 'dir', '-t'],
    ['-c', 'dir', '-t'],
    ['--config=dir', '--test'],
    ['-t', '-cdir']
  ]) {
    assert.deepEqual(readServeOptions(args), { config: 'dir', test: true })
  }
  assert.deepEqual(readServeOptions(['serve']), { config: DEFAULT_CONFIG_DIRECTORY, test: false })
})

test('anything else is left to the other commands', () => {
  for (const args of [
    [],
    ['run', '-c', 'dir'],
    ['--help'],
    ['--version'],
    ['serve', '--help'],
    ['serve', 'x'],
    ['-c']
  ]) {
    assert.equal(readServeOptions(args), undefined)
  }
})

test('a mistake is told with exit code 2', async t => {
  for (const args of [['serve', 'x'], ['-c'], ['serve', '--what']]) {
    const { code, stderr } = await treeline(t, args)
    assert.equal(code, 2)
    assert.match(stderr, /error: /)
  }
  assert.match((await treeline(t, ['serve', '--help'])).stdout, /--config <dir>/)
})

test('serve --test: in order, usable with errors, unusable', async t => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'logging.conf'), '')
  const check = async (mainConf: string) => {
    await writeFile(join(folder, 'main.conf'), mainConf)
    return treeline(t, ['serve', '--config', folder, '--test'])
  }
  const good = await check('[general]\nnode_id = "root"\n')
  assert.deepEqual(good, { code: 0, stdout: `${folder}: the configuration is in order\n`, stderr: '' })

  const withError = await check('[general]\nnode_id = "root"\n[processing.reporting]\noutput = "database"\n')
  assert.deepEqual(
    [withError.code, withError.stdout],
    [0, `${folder}: the configuration can be used; see the errors above\n`]
  )
  assert.match(withError.stderr, /^treeline: error: main\.conf: processing\.reporting\.output: /)

  const bad = await check('[general]\nnode_id = "relay-1"\n')
  assert.deepEqual([bad.code, bad.stdout], [2, ''])
  assert.match(bad.stderr, /output\.upstream\.host/)
})
