import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { type AskOptions, ask, postForm } from '../support/network/http.js'
import { startHttpsPeer } from '../support/network/tls-peer.js'
import { reachUpstreamAt } from '../support/relays/relay-behind-proxy.js'
import { startTree } from '../support/relays/relay-tree.js'
import { editConfig } from '../support/relays/tree-files.js'
import { signContent } from '../support/work/signed-files.js'

const API = '/rudder/relay-api'

test('a relay without a tree says "later" to all that depends on it, and keeps what waits, until it has one', async t => {
  const tree = await startTree(t, {
    relays: [
      { id: 'root', under: 'root', nodes: ['node-r1'] },
      { id: 'relay-a', under: 'root', nodes: ['node-a1'] }
    ],
    absent: ['root']
  })
  const relay = tree.relay('relay-a')
  const node = tree.member('node-a1')
  const waiting = signContent('node-r1', node, 'waits', 'for the policy server')
  const put = (file: typeof waiting, options: AskOptions = {}) =>
    ask(relay, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body, ...options })
  const outbox = async () => JSON.parse((await ask(relay, '/outbox')).text).entries as { state: string }[]
  assert.equal((await put(waiting)).status, 202)

  await tree.processes.get('relay-a')?.stop()
  await editConfig(relay, text => `${text}\n[tree]\nsource = "policy-server"\nrefresh = "1s"\n`)
  const asked: string[] = []
  const { port } = await startHttpsPeer(t, tree.member('root').certificate, ({ method, url = '' }, response) => {
    asked.push(`${method} ${url}`)
    response.writeHead(503).end()
  })
  await reachUpstreamAt(relay, port)
  await Promise.all(['nodeslist.json', 'allnodescerts.pem'].map(file => rm(join(relay.directory, file))))
  await Promise.all(['', '-wal', '-shm'].map(end => rm(join(relay.storagePath, `topology.db${end}`), { force: true })))
  await tree.restart('relay-a')

  await t.test(
    '503 with Retry-After for files, runs, nodes and traces, also to who may be a node or relay',
    async () => {
      const file = signContent('node-a1', node, 'early', 'content')
      const head = `${file.path}?hash=${file.hash}`
      const run = (path: string, options?: AskOptions) => postForm(relay, `${API}/remote-run/${path}`, {}, options)
      const answers = {
        'PUT of a local caller': put(file),
        'PUT of a node': put(file, { as: node }),
        'HEAD of a node': ask(relay, head, { method: 'HEAD', as: node }),
        'GET of a node': ask(relay, file.path, { as: node }),
        'list of files': ask(relay, '/shared-files/node-a1'),
        nodes: ask(relay, '/nodes'),
        'one node': ask(relay, '/nodes/node-a1'),
        trace: ask(relay, '/trace/node-a1'),
        'tree of a relay below': ask(relay, '/v1/tree', { as: node }),
        'run on all': run('all'),
        'run on a node': run('nodes/node-a1'),
        'run, by an unknown certificate': run('all', { as: tree.member('node-r1') }),
        'shared folder, by an unknown certificate': ask(relay, `${API}/shared-folder/file`, { as: node }),
        'shared folder, through a proxy': ask(relay, `${API}/shared-folder/f`, {
          headers: { 'x-forwarded-for': '::1' }
        })
      }
      for (const [what, answered] of Object.entries(answers)) {
        const { status, headers, text } = await answered
        assert.equal(status, 503, `${what}: ${text}`)
        assert.match(String(headers['retry-after']), /^[1-9]\d*$/, what)
        if (text !== '') assert.match(text, /no tree yet/, what)
      }
    }
  )

  await t.test('what does not depend on it answers; the relay is not ready, and says why', async () => {
    for (const path of ['/uuid', '/v1/system/alive', '/metrics', '/system/status', '/outbox']) {
      assert.equal((await ask(relay, path)).status, 200, path)
    }
    const ready = await ask(relay, '/v1/system/ready')
    assert.equal(ready.status, 500)
    assert.match(ready.text, /there is no tree yet/)
  })

  await t.test('an entry of the outbox waits on, and is delivered once there is a tree', async () => {
    assert.equal((await ask(relay, '/outbox/retry', { method: 'POST' })).status, 200)
    const timesForTree = () => asked.filter(request => request.includes('/v1/tree')).length
    const before = timesForTree()
    await eventually('two more requests for the tree', () => timesForTree() >= before + 2)
    assert.deepEqual(
      asked.filter(request => request.includes('/shared-files/')),
      [],
      'without a tree nobody knows which way it goes'
    )
    assert.deepEqual(
      (await outbox()).map(({ state }) => state),
      ['pending']
    )
    await reachUpstreamAt(relay, Number(new URL(tree.relay('root').url).port))
    await tree.restart('root')
    await ask(relay, '/system/reload', { method: 'POST' })
    await eventually('the tree', async () => (await ask(relay, '/v1/system/ready')).status === 200)
    await eventually('an empty outbox', async () => {
      await ask(relay, '/outbox/retry', { method: 'POST' })
      return (await outbox()).length === 0
    })
    assert.equal((await ask(tree.relay('root'), waiting.path)).text, 'for the policy server')
  })
})
