import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_CONFIG_DIRECTORY, readServeOptions } from '../../src/cli/serve-options.js'
import { treeline } from '../support/treeline-command.js'

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
