import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { ask } from '../support/network/http.js'
import { startTree } from '../support/relays/relay-tree.js'

/** More than any machine reads within a test. It has no blocks, so it takes no room. */
const ENDLESS_BYTES = 8 * 1024 ** 4
const RELAYS = [{ id: 'root', under: 'root', nodes: ['node-1', 'node-2'] }]

function makeEndless(path: string): void {
  writeFileSync(path, '')
  truncateSync(path, ENDLESS_BYTES)
}

/** Whether a process has a file open. */
function holds(pid: number, path: string): boolean {
  const folder = `/proc/${pid}/fd`
  return readdirSync(folder).some(fd => {
    try {
      return readlinkSync(join(folder, fd)) === path
    } catch {
      return false // closed meanwhile
    }
  })
}

test('a relay reads no file of the shared folder on for callers that have left, nor when it stops', async t => {
  const tree = await startTree(t, {
    relays: RELAYS,
    settings: { general: ['stop_timeout = "500ms"'] }
  })
  const root = tree.relay('root')
  const process = tree.processes.get('root')
  const path = join(root.directory, 'shared-folder/endless')
  mkdirSync(join(root.directory, 'shared-folder'), { recursive: true })
  makeEndless(path)
  const url = `/rudder/relay-api/1/shared-folder/endless?hash=${'a'.repeat(64)}`
  const pid = process?.pid ?? 0
  const leaving = new AbortController()
  const left = assert.rejects(ask(root, url, { method: 'HEAD', signal: leaving.signal }))
  await eventually('the reading', () => holds(pid, path))
  leaving.abort()
  await left
  await eventually('its end', () => !holds(pid, path))

  const staying = ask(root, url, { method: 'HEAD' })
  await eventually('the reading for a caller that stays', () => holds(pid, path))
  process?.signal('SIGTERM')
  assert.equal((await staying).status, 503)
  assert.equal(await process?.ended, 0)
})
