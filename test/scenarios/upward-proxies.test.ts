import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import {
  HTTP_PROXIES,
  OWN,
  REVERSE_PROXIES,
  startGate,
  startHttpProxy,
  startReverseProxy,
  whyNot
} from '../support/network/proxies.js'
import { getJson, type JoinedTree, type Machine, startJoinedTree, succeed } from '../support/relays/joined-tree.js'

/** Where a proxy comes from that alone is let through to the root. */
const PROXY_ADDRESS = '127.0.0.77'
/** Long enough for all below to be there, and short enough to be waited for. */
const LIFETIME = 'certificate_lifetime = "30s"'
/** So that the root takes nothing from those that it does not know. */
const REQUIRE_SENDER = 'require_sender = true'

/** How machines reach the root. */
interface Way {
  readonly url: string
  readonly env: NodeJS.ProcessEnv
}

/** A line of a token, for who comes by `way`. */
function through({ url }: Way, line: readonly string[]): string[] {
  return line.map(word => (word.startsWith('https:') ? url : word))
}

async function linksOf(machine: Machine): Promise<string[]> {
  const { result } = (await getJson(machine, '/v1/relay/links')) as { result: { id: string }[] }
  return result.map(({ id }) => id).sort()
}

/** Both directions of a file: `own` is shared, and what `from` shares under that name is received. */
async function exchangeFiles(machine: Machine, from: string): Promise<{ readonly received: string }> {
  const [sent, received] = [join(machine.folder, 'sent'), join(machine.folder, 'received')]
  await writeFile(sent, `from ${machine.id}`)
  await appendFile(
    join(machine.folder, 'agent.conf'),
    `
[[agent.share]]
target = "${from}"
file_id = "greeting"
path = "${sent}"
ttl = "1h"
[[agent.receive]]
source = "${from}"
file_id = "greeting"
destination = "${received}"
`
  )
  return { received }
}

/** A relay and a node under the root, a node under that relay: they join, link, share upward and renew, all by `way`. */
async function assertAllGoesUp(tree: JoinedTree, way: Way): Promise<void> {
  const { root } = tree
  const [relay, outer, inner] = [
    await tree.machine('relay-a'),
    await tree.machine('outer'),
    await tree.machine('inner')
  ]
  await succeed(tree.join(relay, through(way, await tree.token('--relay')), way.env))
  const relayProcess = await tree.serve(relay, way.env)
  await succeed(tree.join(outer, through(way, await tree.token('--node', '--under', 'root')), way.env))
  await succeed(tree.join(inner, await tree.token('--node', '--under', 'relay-a'))) // the relay passes it up
  const [atOuter, atInner] = [await exchangeFiles(outer, 'inner'), await exchangeFiles(inner, 'outer')]
  const old = await Promise.all([relay, outer].map(certificateOf))
  const agents = [tree.agent(outer, way.env), tree.agent(inner)]
  await eventually('the links', async () => (await linksOf(root)).join() === 'outer,relay-a')
  await eventually('the link of inner', async () => (await linksOf(relay)).join() === 'inner')
  await eventually("the file of inner, by two hops up, and the root's agent", () => has(atOuter.received, 'from inner'))
  await eventually('the file of outer, up and down', () => has(atInner.received, 'from outer'))
  for (const [index, machine] of [relay, outer].entries()) {
    const former = old[index]
    await eventually(`a new certificate of ${machine.id}`, async () => {
      return (await certificateOf(machine)).serialNumber !== former?.serialNumber
    })
  }
  const refused = relayProcess.log.filter(line => /answered 40[13] (?!while there is no link)/.test(line))
  assert.deepEqual(refused, [])
  for (const agent of agents) agent.child.kill('SIGTERM')
  const logs = await Promise.all(agents.map(({ ended }) => ended))
  const errors = logs.flatMap(({ stdout }) =>
    stdout.split('\n').filter(line => /"level":50.*refused \(40[13]\)/.test(line))
  )
  assert.deepEqual(errors, [])
}

async function certificateOf({ folder }: Machine): Promise<X509Certificate> {
  return new X509Certificate(await readFile(join(folder, 'certificate.pem')))
}

async function has(file: string, content: string): Promise<boolean> {
  return (await readFile(file, 'utf8').catch(() => '')) === content
}

/** Certificates take their time: the stand-in is for where there is no other. */
function installed<T extends string>(names: readonly [T, typeof OWN]): T | typeof OWN {
  return whyNot(names[0]) === false ? names[0] : OWN
}

test('behind a web server that ends the TLS, relays and agents ask what they ask', async t => {
  const tree = await startJoinedTree(t, LIFETIME, REQUIRE_SENDER)
  const { root } = tree
  const front = { cert: join(root.folder, 'certificate.pem'), key: join(root.folder, 'tls.key') }
  const proxy = await startReverseProxy(t, installed(REVERSE_PROXIES), join(tree.folder, 'front'), {
    ...front,
    plain: `http://${root.local}`
  })
  await assertAllGoesUp(tree, { url: `https://127.0.0.1:${proxy.port}`, env: {} })
})

test('where an HTTP proxy alone leads to the root, all goes through it', async t => {
  const tree = await startJoinedTree(t, LIFETIME, REQUIRE_SENDER)
  const gate = await startGate(t, tree.root.port, PROXY_ADDRESS)
  const proxy = await startHttpProxy(t, installed(HTTP_PROXIES), tree.folder, PROXY_ADDRESS)
  const url = `https://127.0.0.1:${gate}`
  const env = { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}`, NO_PROXY: '', no_proxy: '' }
  const line = through({ url, env }, await tree.token('--node', '--under', 'root'))
  const direct = await tree.join(await tree.machine('direct'), line, { HTTPS_PROXY: '', https_proxy: '' })
  assert.notEqual(direct.code, 0, 'nothing leads there without it')
  await assertAllGoesUp(tree, { url, env })
})
