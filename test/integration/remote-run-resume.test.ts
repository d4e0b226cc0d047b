import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeRunId } from '../../src/values/runs/run-id.js'
import { eventually } from '../support/eventually.js'
import { ask, postForm } from '../support/network/http.js'
import { startTcpProxy } from '../support/network/tcp-proxy.js'
import { startTree } from '../support/relays/relay-tree.js'
import { SLOW_AGENT, slowAgents } from '../support/relays/slow-agent.js'
import { editConfig } from '../support/relays/tree-files.js'
import { signContent } from '../support/work/signed-files.js'

const RELAYS = [
  { id: 'root', under: 'root', nodes: ['node-r1'] },
  { id: 'relay-a', under: 'root', nodes: ['node-slow', 'node-a1'] }
]

test('a network that breaks, a run that was ordered twice, and quotas', async t => {
  const tree = await startTree(t, { relays: RELAYS, agent: SLOW_AGENT, absent: ['root'] })
  const agents = slowAgents(tree.folder)
  const root = tree.relay('root')
  const relayA = tree.relay('relay-a')
  const proxy = await startTcpProxy(t, Number(new URL(relayA.url).port))
  await editConfig(root, text => text.replace(/"relay-a" = ".*"/, `"relay-a" = "127.0.0.1:${proxy.port}"`))
  await tree.restart('root')

  await t.test(
    'an asynchronous run is taken up again where its stream broke: nothing is lost or told twice',
    async () => {
      const form = { asynchronous: 'true', keep_output: 'true', nodes: 'node-slow,node-a1' }
      const answer = postForm(root, '/remote-run/nodes', form)
      const pid = await agents.started('node-slow')
      await eventually('its first line', async () => {
        const { runs } = JSON.parse((await ask(root, '/runs?limit=1')).text)
        return runs[0]?.counts.done === 1
      })
      proxy.cut()
      assert.ok(agents.isRunning(pid))
      await agents.release()
      const { text, headers } = await answer
      const lines = text.split('\n').filter(line => line !== '')
      const expected = ['node-a1', 'node-slow'].flatMap(id => [
        `end of ${id}.example.test`,
        `start of ${id}.example.test`
      ])
      assert.deepEqual(lines.sort(), expected.sort())
      const { counts, state } = JSON.parse((await ask(root, `/runs/${headers['treeline-run-id']}`)).text)
      assert.deepEqual([counts, state], [{ done: 2 }, 'done'])
    }
  )

  await t.test('a synchronous run ends with its stream, down to the processes', async () => {
    await agents.reset('node-slow')
    const answer = postForm(root, '/remote-run/nodes/node-slow', { keep_output: 'true' })
    const pid = await agents.started('node-slow')
    await eventually('the root to know that it runs', async () => {
      const { runs } = JSON.parse((await ask(root, '/runs?limit=1')).text)
      return runs[0]?.counts.running === 1
    })
    proxy.cut()
    const { status, text } = await answer
    assert.equal(status, 200)
    assert.match(text, /^error: .*relay-a was lost/m)
    await agents.gone(pid)
  })

  await t.test('an order with the id of a run that is known starts nothing, also after a restart', async () => {
    await agents.release()
    const order = () =>
      postForm(
        relayA,
        '/remote-run/nodes/node-a1',
        { keep_output: 'true' },
        {
          headers: { 'treeline-run-id': id, accept: 'application/x-ndjson' },
          as: tree.member('root')
        }
      )
    const id = makeRunId()
    const first = await order()
    assert.match(first.text, /start of node-a1/)
    const runs = async () => JSON.parse((await ask(relayA, '/runs')).text).runs.length
    const before = await runs()
    assert.equal((await order()).text, first.text)
    tree.processes.get('relay-a')?.signal('SIGKILL')
    await tree.processes.get('relay-a')?.ended
    await tree.restart('relay-a')
    assert.equal((await order()).text, first.text)
    assert.equal(await runs(), before)
  })

  await t.test('quotas: 507 with the setting, wherever the file is to be kept', async () => {
    const limits = 'max_total_size = 5000\nmax_files_per_source = 2'
    await editConfig(relayA, text => text.replace('[shared_files]', `[shared_files]\n${limits}`))
    await tree.processes.get('relay-a')?.stop()
    await tree.restart('relay-a')
    const put = async (source: string, fileId: string, bytes = 10) => {
      const file = signContent('node-slow', tree.member(source), fileId, Buffer.alloc(bytes))
      return ask(relayA, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })
    }
    assert.equal((await put('node-a1', 'one')).status, 200)
    assert.equal((await put('node-a1', 'two')).status, 200)
    assert.equal((await put('node-a1', 'two', 20)).status, 200)
    const third = await put('node-a1', 'three')
    assert.equal(third.status, 507)
    assert.match(third.text, /max_files_per_source/)
    const large = await put('node-slow', 'large', 5_001)
    assert.equal(large.status, 507)
    assert.match(large.text, /max_total_size/)
    const fromAbove = signContent('node-slow', tree.member('node-r1'), 'large', Buffer.alloc(5_001))
    const waiting = await ask(root, `${fromAbove.path}?ttl=1h`, { method: 'PUT', body: fromAbove.body })
    assert.equal(waiting.status, 202, 'there may be room later')
    assert.equal((await put('node-slow', 'small')).status, 200)
  })
})
