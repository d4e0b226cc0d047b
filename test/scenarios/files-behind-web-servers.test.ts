import assert from 'node:assert/strict'
import { appendFile, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { TreeRelay } from '../../demo/relay-tree.js'
import { eventually } from '../support/eventually.js'
import { ask } from '../support/network/http.js'
import { startHttpd, whyNoHttpd } from '../support/network/httpd.js'
import { OWN, startReverseProxy, whyNot } from '../support/network/proxies.js'
import { addProxyListen, changeConfig, reachUpstreamAt } from '../support/relays/relay-behind-proxy.js'
import { type RunningTree, startTree } from '../support/relays/relay-tree.js'
import { type SignedFile, signContent } from '../support/work/signed-files.js'

const RELAYS = [
  { id: 'root', under: 'root', nodes: [] },
  { id: 'relay-a', under: 'root', nodes: ['node-a1'] },
  { id: 'relay-b', under: 'root', nodes: ['node-b1'] }
]

async function startNginx(t: TestContext, relay: TreeRelay, folder: string): Promise<number> {
  const name = whyNot('nginx') === false ? 'nginx' : OWN
  const files = { cert: relay.certificateFile, key: relay.keyFile, plain: await addProxyListen(relay) }
  return (await startReverseProxy(t, name, folder, files)).port
}

/** Apache httpd where it is installed, with deploy/httpd/treeline.conf. */
async function startWebServer(t: TestContext, relay: TreeRelay, above: TreeRelay, folder: string): Promise<number> {
  if (whyNoHttpd !== false) return startNginx(t, relay, folder)
  const behind = { proxied: await addProxyListen(relay), plain: relay.localUrl }
  const { ours } = await startHttpd(t, folder, relay, [relay, above], behind)
  return Number(new URL(ours).port)
}

/** Relays that reach one another through a web server that ends the TLS, and by no link. */
async function startBehindWebServers(t: TestContext): Promise<RunningTree> {
  const tree = await startTree(t, { relays: RELAYS, absent: RELAYS.map(({ id }) => id) })
  const [root, relayA, relayB] = ['root', 'relay-a', 'relay-b'].map(id => tree.relay(id)) as [
    TreeRelay,
    TreeRelay,
    TreeRelay
  ]
  const port = await startNginx(t, root, join(tree.folder, 'before-root'))
  for (const relay of [relayA, relayB]) await reachUpstreamAt(relay, port)
  const below = await startWebServer(t, relayA, root, join(tree.folder, 'before-relay-a'))
  await changeConfig(root, /"relay-a" = "[^"]*"/, `"relay-a" = "127.0.0.1:${below}"`)
  await Promise.all(['root', 'relay-b'].map(id => tree.restart(id)))
  return tree
}

test('files between branches, where a web server ends the TLS before each relay', async t => {
  const tree = await startBehindWebServers(t)
  const [root, relayA, relayB] = [tree.relay('root'), tree.relay('relay-a'), tree.relay('relay-b')]
  const make = (name: string) => signContent('node-a1', tree.member('node-b1'), name, `content of ${name}`)
  const put = (file: SignedFile) => ask(relayB, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })
  const head = async (file: SignedFile) =>
    (await ask(relayB, `${file.path}?hash=${file.hash}`, { method: 'HEAD' })).status
  const keptAt = (name: string) => join(root.sharedFilesPath, 'relay-a/shared-files/node-a1/files/node-b1', name)
  const waiting = async () => JSON.parse((await ask(root, '/outbox')).text).entries.length
  const [early, late, linked] = [make('early'), make('late'), make('linked')]

  await t.test('one that was answered 202 since the relay was away is kept for it when it is back', async () => {
    const answer = await put(early)
    assert.deepEqual([answer.status, answer.headers['treeline-state']], [202, 'pending'], answer.text)
    await tree.restart('relay-a')
    const kept = await eventually('its place', () => readFile(keptAt('early'), 'utf8').catch(() => undefined))
    assert.deepEqual([kept, await waiting()], ['content of early', 0])
    assert.equal(await head(early), 200)
  })

  await t.test('one that it cannot know the source of is kept for it', async () => {
    const answer = await put(late)
    assert.equal(answer.status, 200, answer.text)
    assert.equal(await readFile(keptAt('late'), 'utf8'), 'content of late')
    assert.equal(await head(late), 200)
    assert.equal((await ask(root, late.path)).text, 'content of late')
  })

  await t.test('all go over its link, as soon as it holds one', async () => {
    tree.processes.get('relay-a')?.signal('SIGTERM')
    await tree.processes.get('relay-a')?.ended
    await appendFile(join(relayA.directory, 'main.conf'), '\n[links]\ndial = true\n')
    await tree.restart('relay-a')
    await eventually('the link', async () => JSON.parse((await ask(root, '/v1/relay/links')).text).result.length === 1)
    const answer = await put(linked)
    assert.equal(answer.status, 200, answer.text)
    for (const file of [early, late, linked]) {
      await eventually(file.path, async () => (await ask(relayA, file.path)).text === String(file.content))
      assert.equal(await head(file), 200)
    }
    for (const name of ['early', 'late', 'linked']) {
      await eventually(name, async () =>
        stat(keptAt(name)).then(
          () => false,
          () => true
        )
      )
    }
  })
})
