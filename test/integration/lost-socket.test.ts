import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { treeline } from '../support/machine/treeline-command.js'
import { changeConfig } from '../support/relays/relay-behind-proxy.js'
import { startTree } from '../support/relays/relay-tree.js'

test('a reload makes a socket again that is gone, and commands find the relay; what took its place stays', async t => {
  const tree = await startTree(t, { relays: [{ id: 'root', under: 'root', nodes: ['node-1'] }], absent: ['root'] })
  const { directory } = tree.relay('root')
  const [folder, former] = [join(directory, 'run'), join(directory, 'former')]
  const path = join(folder, 'relay.sock')
  await mkdir(folder)
  await changeConfig(tree.relay('root'), /\[general\]/, `[general]\nsocket = "${path}"`)
  const relay = await tree.restart('root')
  const lines = (text: string) => relay.log.filter(line => line.includes(text)).length
  const list = () => treeline(t, ['nodes', 'list', '--config', directory])

  await rename(folder, former)
  assert.equal((await list()).code, 1)
  await mkdir(folder)
  relay.signal('SIGHUP')
  await relay.logged(line => line.includes('the socket was gone; made it again'))
  const { code, stdout, stderr } = await list()
  assert.equal(code, 0, stderr)
  assert.match(stdout, /node-1/)
  assert.deepEqual(await readdir(former), [])

  await rm(path)
  const other = createServer().listen(path)
  t.after(() => other.close())
  await once(other, 'listening')
  relay.signal('SIGHUP')
  await relay.logged(line => line.includes('"the socket is gone; trying to make it again"'))
  const told = await relay.logged(line => line.includes('reloaded in part'))
  assert.match(told, /general\.socket: another process listens at .*relay\.sock/)
  assert.equal(lines('the socket is gone'), 1)
  await relay.stop()
  assert.deepEqual(await readdir(folder), ['relay.sock'])
})
