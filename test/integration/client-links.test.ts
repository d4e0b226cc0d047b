import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { appendFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { formatServiceRequest } from '../../src/services/exchange/service-request.js'
import { eventually } from '../support/eventually.js'
import { makeFifo } from '../support/machine/make-fifo.js'
import { startTreeline, temporaryFolder, treeline } from '../support/machine/treeline-command.js'
import { ask } from '../support/network/http.js'
import { openServer } from '../support/network/open-server.js'
import { startUpperSide } from '../support/parts/links.js'
import { listenTo } from '../support/parts/stream-pairs.js'
import { startTree } from '../support/relays/relay-tree.js'

const TOKEN = 'a-token-that-is-long-enough'
const OTHER = 'another-token-that-is-long-enough'

interface ShownClient {
  readonly client_key: string
  readonly client_id: string
  readonly remote_address: string
  readonly connected_at: string
  readonly path: readonly string[]
}

const line = (key: string, token: string) => `register:${key} ${createHash('sha256').update(token).digest('hex')}\n`

test('clients register under their keys, are listed and removed, and come again', async t => {
  const tree = await startTree(t, {
    relays: [{ id: 'root', under: 'root', nodes: ['node-r1'] }],
    absent: ['root'],
    settings: { tokens: ['clients_file = "clients"'] }
  })
  const root = tree.relay('root')
  const tokens = join(root.directory, 'clients')
  const ca = join(root.directory, 'relay-certificate.pem')
  await writeFile(ca, root.certificate.certificatePem)
  await writeFile(tokens, `# for tests\n\n${line('git', TOKEN)}`)
  await tree.restart('root')
  const env = { TREELINE_SERVER_URL: root.url, TREELINE_BASE_URL: 'http://127.0.0.1:1', SSL_CERT_FILE: ca }
  const health = ['--health-listen', '127.0.0.1:0']
  const start = (key: string, id: string, token = TOKEN) =>
    startClient(t, ['--client-key', key, '--client-id', id, ...health], { ...env, TREELINE_TOKEN: token })
  const list = async (): Promise<ShownClient[]> => JSON.parse((await ask(root, '/v1/relay/clients')).text).result
  const names = (clients: readonly ShownClient[]) => clients.map(client => `${client.client_key}/${client.client_id}`)
  const until = (...expected: string[]) =>
    eventually(expected.join(', '), async () => {
      const clients = await list()
      return names(clients).join() === expected.join() && clients
    })
  const remove = async (path: string) => {
    const { status, text } = await ask(root, `/v1/relay/clients/${path}`, { method: 'DELETE' })
    return status === 200 ? names(JSON.parse(text).result) : status
  }
  const one = await start('git', 'one')
  await start('git', 'two')
  const both = await until('git/one', 'git/two')

  await t.test('what is shown of one', async () => {
    const [shown] = both
    assert.match(shown?.remote_address ?? '', /^127\.0\.0\.1:\d+$/)
    assert.ok(Date.parse(shown?.connected_at ?? '') <= Date.now())
    assert.deepEqual(shown?.path, [])
    assert.equal(await one.ready(), 200)
    const links = JSON.parse((await ask(root, '/v1/relay/links')).text).result
    assert.deepEqual(
      links.map((link: { kind: string }) => link.kind),
      ['client', 'client']
    )
  })

  await t.test('removed by key, by key and id, and by id', async () => {
    const again = async () => {
      const before = new Map(both.map(client => [client.client_id, client.remote_address]))
      const now = await until('git/one', 'git/two')
      return now.filter(client => before.get(client.client_id) !== client.remote_address).length
    }
    assert.deepEqual(await remove('git?id=one'), ['git/one'])
    assert.equal(await again(), 1, 'under the same id, from a new address')
    assert.deepEqual(await remove('two'), ['git/two'])
    assert.equal(await again(), 2)
    assert.deepEqual(await remove('git'), ['git/one', 'git/two'])
    await again()
    for (const unknown of ['none', 'git?id=none', 'one?id=one', 'root', 'node-r1']) {
      assert.equal(await remove(unknown), 404, unknown)
    }
    const closed = await treeline(t, ['links', 'close', '--client', 'git', '--server', root.localUrl])
    assert.match(closed.stdout, /^closed: git one from 127\S+\nclosed: git two from 127/, closed.stderr)
    await again()
  })

  await t.test('only with the token of that key, which may be added while the relay runs', async () => {
    const stranger = await start('other', 'three', OTHER)
    const wrong = await start('git', 'four', OTHER)
    await stranger.printed('the token does not allow to register under other')
    await wrong.printed('the token does not allow to register under git')
    assert.deepEqual([await stranger.ready(), await wrong.ready(), await stranger.alive()], [500, 500, 200])
    assert.match((await ask(root, '/metrics')).text, /^treeline_links_refused_total [1-9]/m)
    await appendFile(tokens, 'rubbish\n')
    await appendFile(tokens, line('other', OTHER))
    await writeFile(tokens, line('git', TOKEN) + line('other', OTHER))
    await until('git/one', 'git/two', 'other/three')
    assert.equal(await stranger.ready(), 200)
    assert.equal(stranger.output().includes(OTHER), false, 'a token in the log')
  })

  await t.test('one that is stopped ends, and is gone', async () => {
    one.child.kill('SIGTERM')
    assert.equal((await one.ended).code, 0)
    await until('git/two', 'other/three')
  })

  await t.test('whose token is removed loses the link at once, and does not come back', async () => {
    const late = await start('other', 'four', OTHER)
    await until('git/two', 'other/four', 'other/three')
    await writeFile(tokens, line('git', TOKEN))
    await until('git/two')
    await late.printed('the token does not allow to register under other')
    assert.equal(await late.ready(), 500)
    assert.deepEqual(names(await list()), ['git/two'])
  })

  await t.test('a FIFO in the place of the tokens changes nothing, and stops nobody', async () => {
    await makeFifo(tokens)
    await start('git', 'five')
    await until('git/five', 'git/two')
  })
})

test('a client passes requests on, and none whose path leads out of that of its base URL', async t => {
  const upper = await startUpperSide(t, new Map(), {
    admitClient: ({ key, id, token }) =>
      token === TOKEN ? { owner: { kind: 'client', id: key, clientId: id } } : { refused: 'no' }
  })
  const reached: (string | undefined)[] = []
  const base = createServer((request, response) => {
    reached.push(request.url)
    response.end('reached')
  })
  const baseUrl = `http://127.0.0.1:${await openServer(t, base)}/base`
  const ca = join(await temporaryFolder(t), 'ca.pem')
  await writeFile(ca, upper.certificate.certificatePem)
  const options = ['--base-url', baseUrl, '--server-url', upper.url, '--client-key', 'git', '--ca', ca]
  await startClient(t, [...options, '--health-listen', '127.0.0.1:0'], { TREELINE_TOKEN: TOKEN })
  const link = await eventually('the link', () => upper.registry.ofClient('git'))
  const { streamLane } = link
  const get = async (target: string): Promise<[number, string]> => {
    const stream = (await streamLane.get()).open(
      formatServiceRequest({
        key: 'git',
        base: '/v1/relay/git',
        origin: 'http://relay',
        body: 'none',
        upgrade: undefined,
        head: { method: 'GET', target, minor: 1, fields: [] }
      })
    )
    const received = listenTo(stream)
    stream.end()
    await eventually(`an answer to ${target}`, () => received.hasEnded)
    return [Number(/HTTP\/1\.1 (\d{3})/.exec(received.text)?.[1]), received.text]
  }
  const [found, answer] = await get('/x')
  assert.equal(found, 200)
  assert.match(answer, /reached$/)
  for (const path of ['/..;/x', '/..%00/x', '/..%09/x', '/%252e%252e/x']) {
    const [status, message] = await get(path)
    assert.equal(status, 400, path)
    assert.match(message, /must not contain \.\./)
  }
  assert.deepEqual(reached, ['/base/x'])
})

test('what is missing or wrong is named, with exit code 2', async t => {
  const bare = {
    TREELINE_TOKEN: '',
    TREELINE_CLIENT_KEY: '',
    TREELINE_SERVER_URL: '',
    TREELINE_BASE_URL: ''
  }
  const all = ['--base-url', 'http://x', '--server-url', 'https://x', '--client-key', 'k', '--styra-token', 'a']
  const cases: [string[], RegExp][] = [
    [
      [],
      /--base-url \(or TREELINE_BASE_URL\), --server-url \(or TREELINE_SERVER_URL\), --client-key \(or TREELINE_CLIENT_KEY\), --token \(or TREELINE_TOKEN\)/
    ],
    [all.slice(0, -2), /missing: --token \(or TREELINE_TOKEN\)\n/],
    [[...all, '--client-key', 'a/b'], /--client-key "a\/b": a client key has/],
    [[...all, '--client-key', 'clients'], /and not clients, register, links/],
    [[...all, '--client-id', 'a b'], /--client-id "a b"/],
    [[...all, '--server-url', 'http://x'], /--server-url "http:\/\/x" begins with http:/],
    [[...all, '--base-url', 'nowhere'], /--base-url "nowhere" is no URL: expected/],
    [[...all, '--base-url', 'git:pass@x:y'], /--base-url begins with git:/],
    [[...all, '--base-url', 'https://user:pass@x'], /--base-url has credentials in it/],
    [[...all, '--protocol', 'h3'], /--protocol "h3": expected http\/1\.1, h2, h2c/],
    [[...all, '--protocol', 'h2'], /--protocol h2: h2 is HTTP\/2 over TLS: it needs a URL with https:\/\//],
    [[...all, '--health-listen', 'x'], /--health-listen "x": expected host:port/],
    [[...all, '--ca', '/none'], /--ca \/none cannot be read/]
  ]
  for (const [args, expected] of cases) {
    const { code, stderr } = await treeline(t, ['client', ...args], bare)
    assert.match(stderr, expected)
    assert.equal(code, 2, stderr)
    assert.ok(!stderr.includes('pass@'))
  }
})

async function startClient(t: TestContext, args: readonly string[], env: NodeJS.ProcessEnv) {
  const running = startTreeline(t, ['client', ...args], env)
  let output = ''
  running.child.stdout?.on('data', (text: string) => {
    output += text
  })
  await running.printed('"msg":"started"')
  const health = /"health":"([^"]+)"/.exec(output)?.[1] ?? ''
  const status = async (path: string) => (await fetch(`${health}${path}`)).status
  return {
    ...running,
    output: () => output,
    ready: () => status('/v1/system/ready'),
    alive: () => status('/v1/system/alive')
  }
}
