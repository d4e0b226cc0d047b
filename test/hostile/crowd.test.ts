import assert from 'node:assert/strict'
import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type CertificateMaterial, makeAgentCertificate } from '../../demo/pki.js'
import type { TreeRelay } from '../../demo/relay-tree.js'
import { MAX_HANDSHAKES } from '../../src/links/upper/accepting/pending-handshakes.js'
import { eventually } from '../support/eventually.js'
import { openRawLink } from '../support/hostile/hostile-link.js'
import { put } from '../support/hostile/hostile-tree.js'
import { ask, postForm } from '../support/network/http.js'
import { makeLowerSide } from '../support/parts/links.js'
import { startAgent } from '../support/relays/agents.js'
import { type RunningTree, startTree } from '../support/relays/relay-tree.js'

const STANDING = Array.from({ length: 30 }, (_, index) => `standing-${index}`)
const HONEST = Array.from({ length: 200 }, (_, index) => `honest-${index}`)
/** From here on they come when the others are there. */
const LATE_FROM = STANDING.length + HONEST.length / 2
/** Those that open a WebSocket and do not say who they are: more than there is room for, whoever else comes. */
const SILENT = MAX_HANDSHAKES + 200
/** Those that do not even finish a TLS handshake. */
const HALF_OPEN = 300

const RELAYS = [
  { id: 'root', under: 'root', nodes: ['r1', 'agent-1'] },
  { id: 'good', under: 'root', nodes: ['g1'], byLink: true }
]

test('a crowd that comes at once: the links that stand serve on, and whoever is honest gets one', async t => {
  const tree = await startTree(t, { relays: RELAYS, absent: ['root', 'good'] })
  const root = tree.relay('root')
  const nodes = await addNodes(root, [...STANDING, ...HONEST])
  await Promise.all(RELAYS.map(({ id }) => tree.restart(id)))
  const open = ({ certificate }: Node) => openLink(t, root, certificate)
  await startAgent(t, tree, 'agent-1')
  const standing = nodes.slice(0, STANDING.length).map(open)
  const before = await untilLinked(root, ['good', 'agent-1', ...STANDING])

  const asked = askOverLinks(tree)
  await asked.once
  connectHalfOpen(t, root)
  const silent = openSilent(t, root)
  const honest = nodes.slice(STANDING.length, LATE_FROM).map(open)
  const metCount = await silent
  honest.push(...nodes.slice(LATE_FROM).map(open)) // now there is no room
  const after = await untilLinked(root, [...before.keys(), ...HONEST])
  await asked.stop()
  t.diagnostic(`${metCount} of ${SILENT} were let in at first`)
  assert.match((await ask(root, '/metrics')).text, /^treeline_links_refused_total [1-9]/m, 'there was room for all')

  for (const [id, link] of before) assert.equal(after.get(id), link, `the link of ${id} is another one now`)
  assert.deepEqual(lostLinks(tree), [])
  const all = [...standing, ...honest]
  await eventually('all to know of their links', () => all.every(({ dialer }) => dialer.status.isConnected))
  assert.deepEqual(
    all.flatMap(({ lost }) => lost),
    []
  )
})

interface Node {
  readonly id: string
  readonly certificate: CertificateMaterial
}

/** Puts further nodes into the files of a relay that is not started yet; keys as `startTree` makes them take seconds. */
async function addNodes({ directory }: TreeRelay, ids: readonly string[]): Promise<Node[]> {
  const [listFile, certificatesFile] = [join(directory, 'nodeslist.json'), join(directory, 'allnodescerts.pem')]
  const list = JSON.parse(await readFile(listFile, 'utf8')) as Record<string, unknown>
  const nodes = await Promise.all(
    ids.map(async id => {
      list[id] = { hostname: `${id}.example.com`, 'policy-server': 'root' }
      return { id, certificate: await makeAgentCertificate({ nodeId: id, hostname: `${id}.example.com` }) }
    })
  )
  await writeFile(listFile, JSON.stringify(list))
  await appendFile(certificatesFile, nodes.map(({ certificate }) => certificate.certificatePem).join(''))
  return nodes
}

/** A node that holds a link, with what it is told when it has lost it. */
function openLink(t: TestContext, root: TreeRelay, own: CertificateMaterial) {
  const upper = { url: root.url.replace(/^https/, 'wss'), certificate: root.certificate }
  const { dialer } = makeLowerSide(t, upper, own, (_request, response) => response.end(), {
    backoff: { firstMs: 500, maxMs: 1_000 }
  })
  const lost: (string | undefined)[] = []
  let wasConnected = false
  dialer.onChange(({ isConnected, reason }) => {
    if (wasConnected && !isConnected && reason !== 'stopping') lost.push(reason)
    wasConnected ||= isConnected
  })
  dialer.start()
  return { dialer, lost }
}

/** Resolves when they have links. @returns the link of each by its id */
function untilLinked(root: TreeRelay, ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
  return eventually(`the links of ${ids.length}`, async () => {
    const { result } = JSON.parse((await ask(root, '/v1/relay/links')).text) as {
      result: readonly { readonly id: string; readonly link: string }[]
    }
    const links = new Map(result.map(({ id, link }) => [id, link]))
    return ids.every(id => links.has(id)) && links
  })
}

function lostLinks(tree: RunningTree): string[] {
  return (tree.processes.get('root')?.log ?? []).filter(line => line.includes('"link lost"'))
}

/** Keeps asking for something over the links of `good` and `agent-1`, until it is stopped; each answer must be whole. */
function askOverLinks(tree: RunningTree): { readonly once: Promise<unknown>; stop(): Promise<void> } {
  const root = tree.relay('root')
  let isOver = false
  const run = async (node: string, printed: RegExp) => {
    const answer = await postForm(root, `/rudder/relay-api/remote-run/nodes/${node}`, { keep_output: 'true' })
    assert.equal(answer.status, 200)
    assert.match(answer.text, printed)
  }
  const work: readonly (() => Promise<void>)[] = [
    () => run('agent-1', /node run:/),
    () => run('g1', /agent of g1/),
    async () => assert.equal(await put(tree, 'g1', 10), 200),
    async () => assert.equal(await put(tree, 'g1', 200_000), 200) // by a lane, where there is room for one
  ]
  const first = work.map(one => one())
  const streams = work.map(async (one, index) => {
    await first[index]
    do await one()
    while (!isOver)
  })
  const ended = Promise.all(streams)
  ended.catch(() => undefined) // until `stop` waits for it
  return {
    once: Promise.all(first),
    stop: async () => {
      isOver = true
      await ended
    }
  }
}

/** Half of them begin a TLS handshake, and leave it there. */
function connectHalfOpen(t: TestContext, root: TreeRelay): void {
  for (let index = 0; index < HALF_OPEN; index += 1) {
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(root.url).port) })
    socket.on('error', () => undefined)
    if (index % 2 === 0) socket.write(Buffer.from('160301', 'hex'))
    t.after(() => socket.destroy())
  }
}

/** Every second one says something, of which the end never comes. @returns how many were let in */
async function openSilent(t: TestContext, root: TreeRelay): Promise<number> {
  const opened = await Promise.allSettled(
    Array.from({ length: SILENT }, async (_, index) => {
      const { socket } = await openRawLink(t, root.url)
      if (index % 2 === 0) socket.send('{"treeline":', { fin: false })
    })
  )
  return opened.filter(({ status }) => status === 'fulfilled').length
}
