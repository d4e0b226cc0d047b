import assert from 'node:assert/strict'
import { readdirSync, readlinkSync } from 'node:fs'
import { test } from 'node:test'
import { connect } from 'node:tls'
import { eventually } from '../support/eventually.js'
import { ask } from '../support/network/http.js'
import { head } from '../support/network/raw-client.js'
import { startTree, THREE_LEVELS } from '../support/relays/relay-tree.js'
import { signContent } from '../support/work/signed-files.js'

/** More than the buffers of a connection, of two and of the link or connection between two relays take. */
const BYTES = 24 * 1024 * 1024

test('downloads whose caller goes leave no file open, at the relay that has it and on the way to it', async t => {
  const relays = THREE_LEVELS.filter(({ id }) => id === 'root' || id === 'relay-a')
  const tree = await startTree(t, { relays })
  const [root, below] = [tree.relay('root'), tree.relay('relay-a')]
  const target = tree.member('node-a1')
  const file = signContent('node-a1', tree.member('node-r1'), 'large', Buffer.alloc(BYTES, 'a'))
  assert.equal((await ask(root, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })).status, 200)
  const pid = tree.processes.get('relay-a')?.pid
  assert.ok(pid !== undefined)
  const openFiles = () =>
    readdirSync(`/proc/${pid}/fd`).filter(name => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${name}`).endsWith('/large')
      } catch {
        return false // closed meanwhile
      }
    })
  for (const relay of [below, root]) {
    const { hostname: host, port } = new URL(relay.url)
    const callers = Array.from({ length: 3 }, () =>
      connect({
        host,
        port: Number(port),
        cert: target.certificate.certificatePem,
        key: target.certificate.privateKeyPem,
        rejectUnauthorized: false
      }).pause()
    )
    const request = head(`GET ${file.path} HTTP/1.1`, 'Host: localhost')
    for (const caller of callers) caller.on('error', () => undefined).write(request.repeat(8))
    await eventually('a file to be open for each caller', () => openFiles().length === callers.length)
    for (const caller of callers) caller.destroy()
    await eventually('all files to be closed', () => openFiles().length === 0)
  }
  assert.equal((await ask(root, file.path, { as: target })).body.length, BYTES)
})
