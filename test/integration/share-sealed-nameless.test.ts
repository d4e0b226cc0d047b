import assert from 'node:assert/strict'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startTreeline, temporaryFolder, treeline } from '../support/machine/treeline-command.js'
import { startSmallRelay } from '../support/relays/small-relay.js'

test('a sealed file has no name while it is sent: whatever ends the command leaves nothing behind', async t => {
  const folder = await temporaryFolder(t)
  const [data, scratch] = [join(folder, 'data'), join(folder, 'scratch')]
  await Promise.all([writeFile(data, 'content'), mkdir(scratch)])
  const keys = await treeline(t, ['key', 'generate', '--out', folder])
  assert.equal(keys.code, 0, keys.stderr)
  let onAsked: () => void = () => undefined
  const asked = new Promise<void>(resolve => {
    onAsked = resolve
  })
  const relay = await startSmallRelay(t, { 'HEAD shared-files/b/a/id': () => onAsked() }) // answers nothing
  const keyFile = join(folder, 'treeline-sign.key')
  const args = ['share', 'b', 'id', data, '--ttl', '1h', '--source', 'a', '--server', relay.url, '--key', keyFile]
  const sealed = [...args, '--seal', join(folder, 'treeline-seal.pub')]
  const command = startTreeline(t, sealed, { TMPDIR: scratch })
  await asked
  assert.deepEqual(await readdir(scratch), [])
  command.child.kill('SIGKILL')
  await command.ended
  const nowhere = await treeline(t, sealed, { TMPDIR: join(folder, 'none') })
  assert.match(nowhere.stderr, /none cannot be written: /)
})
