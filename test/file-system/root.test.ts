import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const MODULE = fileURLToPath(new URL('../../src/file-system/permissions/root.ts', import.meta.url))

test('the root of a namespace of one user is privileged where that user is the real root, and no other one is', async () => {
  const program = `import(${JSON.stringify(MODULE)}).then(({ isPrivileged, unmappedRoot }) => console.log(isPrivileged(), unmappedRoot()))`
  const node = [process.execPath, '--import', 'tsx', '-e', program]
  const { stdout } = await promisify(execFile)('unshare', ['--user', '--map-root-user', ...node])
  assert.equal(stdout.trim(), process.geteuid?.() === 0 ? 'true undefined' : 'false 65534')
})
