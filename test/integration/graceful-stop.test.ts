import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { request as plainRequest } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { ask, postForm } from '../support/network/http.js'
import { type RunningTree, startTree } from '../support/relays/relay-tree.js'
import { SLOW_AGENT, slowAgents } from '../support/relays/slow-agent.js'
import { editConfig } from '../support/relays/tree-files.js'
import { signContent } from '../support/work/signed-files.js'

const RELAYS = [{ id: 'root', under: 'root', nodes: ['node-slow', 'node-r1'] }]

async function refusesConnections(tree: RunningTree): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(tree.relay('root').localUrl).port) })
  try {
    await once(socket, 'connect')
    return false
  } catch {
    return true
  } finally {
    socket.destroy()
  }
}

/** SIGTERM; resolves once nothing new is taken. */
async function beginStop(tree: RunningTree) {
  tree.processes.get('root')?.signal('SIGTERM')
  await eventually('the end of listening', () => refusesConnections(tree))
}

test('SIGTERM: what is under way may finish, within a limit', async t => {
  const tree = await startTree(t, { relays: RELAYS, agent: SLOW_AGENT })
  const agents = slowAgents(tree.folder)
  const root = tree.relay('root')
  const incoming = join(root.sharedFilesPath, '.incoming~')
  const ended = () => tree.processes.get('root')?.ended

  await t.test('a run under way ends, and its caller has the whole of it', async () => {
    await agents.reset('node-slow')
    const answer = postForm(root, '/remote-run/nodes/node-slow', { keep_output: 'true' })
    await agents.started('node-slow')
    await beginStop(tree)
    await agents.release()
    const { status, text } = await answer
    assert.deepEqual([status, text], [200, 'start of node-slow.example.test\nend of node-slow.example.test\n'])
    assert.equal(await ended(), 0)
  })

  await t.test('an asynchronous run that nobody waits for ends too', async () => {
    await tree.restart('root')
    await agents.reset('node-slow')
    const { headers } = await postForm(root, '/remote-run/nodes/node-slow', { asynchronous: 'true' })
    await agents.started('node-slow')
    await beginStop(tree)
    await agents.release()
    assert.equal(await ended(), 0)
    await tree.restart('root')
    const record = JSON.parse((await ask(root, `/runs/${String(headers['treeline-run-id'])}`)).text)
    assert.deepEqual([record.state, record.counts], ['done', { done: 1 }])
    await tree.processes.get('root')?.stop()
  })

  await t.test('a PUT under way is taken to its end, and is there after the next start', async () => {
    await tree.restart('root')
    const file = signContent('node-r1', tree.member('node-slow'), 'f', Buffer.alloc(600_000, 'x'))
    const body = new PassThrough()
    const answer = ask(root, `${file.path}?ttl=1h`, { method: 'PUT', body })
    body.write(file.body.subarray(0, 500_000))
    await eventually('the upload', async () => (await readdir(incoming)).length > 0)
    await beginStop(tree)
    body.end(file.body.subarray(500_000))
    assert.equal((await answer).status, 200)
    assert.equal(await ended(), 0)
    assert.deepEqual(await readdir(incoming), [])
    await tree.restart('root')
    assert.deepEqual((await ask(root, file.path)).body, file.content)
  })

  await t.test('beyond the limit: processes are stopped, streams ended, nothing half-written', async () => {
    await editConfig(root, text => text.replace('[general]', '[general]\nstop_timeout = "200ms"'))
    await tree.processes.get('root')?.stop()
    await tree.restart('root')
    await agents.reset('node-slow')
    const run = postForm(root, '/remote-run/nodes/node-slow', { asynchronous: 'true' })
    const id = String((await run).headers['treeline-run-id'])
    const pid = await agents.started('node-slow')
    const file = signContent('node-r1', tree.member('node-slow'), 'half', Buffer.alloc(600_000, 'x'))
    const upload = plainRequest(`${root.localUrl}${file.path}?ttl=1h`, { method: 'PUT' })
    upload.write(file.body.subarray(0, 500_000))
    const failed = once(upload, 'response').then(
      ([response]) => response.statusCode,
      () => 0
    )
    await eventually('the upload', async () => (await readdir(incoming)).length > 0)
    await beginStop(tree)
    assert.ok([0, 503].includes(await failed))
    upload.on('error', () => undefined).destroy()
    assert.equal(await ended(), 0)
    assert.equal(agents.isRunning(pid), false)
    assert.deepEqual(await readdir(incoming), [])
    await tree.restart('root')
    const record = JSON.parse((await ask(root, `/runs/${id}`)).text)
    assert.ok(['cancelled', 'interrupted'].includes(record.state), record.state)
    assert.equal((await ask(root, file.path)).status, 404)
  })
})
