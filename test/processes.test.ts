import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import { test } from 'node:test'

/**
 * Files that start a process from source: helpers of theirs, and parts of the program in processes that may be killed
 * or limited. Whatever stands for a relay, an agent, a client or a command is the bundle, by `treelineCommand` of
 * demo/relay-process.ts. The demo runs from source by itself.
 */
const FROM_SOURCE = [
  'bench/load.test.ts',
  'crash/import.test.ts',
  'crash/shared-files.test.ts',
  'file-system/root.test.ts',
  'file-system/temporary-folder.test.ts',
  'hostile/connections.test.ts',
  'integration/namespaces.test.ts',
  'network/server-flight.test.ts',
  'process/log.test.ts',
  'remote-run/command.test.ts',
  'remote-run/recover-runs.test.ts',
  'storage/sqlite-engine/database-copy.test.ts',
  'support/network/proxies.ts'
]
/** What loads sources in another process. */
const LOADER = /\btsx['"`/]|--import[ =]tsx|--experimental-strip-types/
const IMPORT = /\bfrom '[^']+'|\bimport\('[^']+'\)/g
/** The entries of the program. */
const ENTRY = /src\/(?:main|cli\/processes\/[a-z-]+)\.[jt]s/

function readTests(): { readonly path: string; readonly text: string }[] {
  return readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
    .filter(
      name =>
        !name.startsWith('demo') && /\.m?ts$/.test(name) && join(import.meta.dirname, name) !== import.meta.filename
    )
    .map(name => ({
      path: name.split(sep).join('/'),
      text: readFileSync(join(import.meta.dirname, name), 'utf8')
    }))
}

test('tests start the program as it ships: sources run in named helpers alone', () => {
  const files = readTests()
  const loading = files.filter(({ text }) => LOADER.test(text)).map(({ path }) => path)
  assert.deepEqual(loading.sort(), FROM_SOURCE)
  for (const { path, text } of files) assert.doesNotMatch(text.replace(IMPORT, ''), ENTRY, path)
})
