import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder, treeline } from '../support/machine/treeline-command.js'
import { makeCertificate } from '../support/network/openssl-certificate.js'
import { type Handler, listen, startSmallRelay } from '../support/relays/small-relay.js'

const ENTRY = '01K9ZT5R9C8YQ2W7C0M3V6X1AC'

const NODES = [
  { id: 'root', hostname: 'root.example', policy_server: 'root', key_hash: 'sha256//AA==', below: true },
  { id: 'a', hostname: 'a.exam\u001bple', policy_server: 'root', below: true }
]

const HANDLERS: Record<string, Handler> = {
  'GET nodes': () => ({ nodes: NODES }),
  'GET nodes/a': () => ({
    ...NODES[1],
    relay: false,
    certificates: [{ fingerprint: 'ab12', not_after: '2030-01-01T00:00:00.000Z' }]
  }),
  'GET nodes/a/route': () => ({ target: 'a', route: 'down', hop: 'relay1' }),
  'GET runs': () => ({
    runs: [
      {
        id: '01K9ZT5R9C8YQ2W7C0M3V6X1AB',
        state: 'done',
        asked_by: 'local',
        nodes: 'all',
        started_at: '2023-11-14T22:13:20.000Z',
        counts: { done: 2 }
      }
    ]
  }),
  'GET runs/01K9ZT5R9C8YQ2W7C0M3V6X1AB': ({ query }) => ({
    id: '01K9ZT5R9C8YQ2W7C0M3V6X1AB',
    state: 'done',
    counts: {},
    node_records: [{ node: query.get('after') === null ? 'a' : 'b', outcome: 'done', exit_code: 0, duration_ms: 1500 }],
    ...(query.get('after') === null ? { next: 'a' } : {})
  }),
  'POST runs/01K9ZT5R9C8YQ2W7C0M3V6X1AB/cancel': () => ({
    id: '01K9ZT5R9C8YQ2W7C0M3V6X1AB',
    state: 'cancelled',
    counts: {}
  }),
  'GET runs/01K9ZT5R9C8YQ2W7C0M3V6X1AB/events': ({ query }, response) => {
    response
      .writeHead(200)
      .end(`{"seq":${Number(query.get('after')) + 1},"event":"end","run":"01K9ZT5R9C8YQ2W7C0M3V6X1AB"}\n`)
  },
  'GET outbox': () => ({
    entries: [
      { id: ENTRY, target: 't', source: 's', file_id: 'f', state: 'failed', size: 2048, attempts: 3, last_error: 'no' }
    ]
  }),
  'POST outbox/retry': () => ({ retried: 1 }),
  [`POST outbox/${ENTRY}/retry`]: () => ({ retried: 1 }),
  [`DELETE outbox/${ENTRY}`]: (_, response) => {
    response.writeHead(204).end()
  }
}

test('nodes, runs and outbox as tables, on a plain local relay', async t => {
  const relay = await startSmallRelay(t, HANDLERS)
  const shows = async (args: string[], expected: RegExp) => {
    const { code, stdout, stderr } = await treeline(t, [...args, '--server', relay.url])
    assert.equal(code, 0, stderr)
    assert.match(stdout, expected)
  }
  await shows(['nodes', 'list'], /^ID +HOSTNAME +POLICY SERVER +KEY HASH\nroot .*\na +a\.exam\?ple +root +-\n$/)
  await shows(['nodes', 'show', 'a'], /hostname +a\.exam\?ple\n[\s\S]*certificate +ab12 until 2030-01-01T00:00:00Z/)
  await shows(['nodes', 'route', 'a'], /a +down to relay1/)
  await shows(['runs', 'list'], /01K9ZT5R9C8YQ2W7C0M3V6X1AB +done +2023-11-14T22:13:20Z +local +all +done 2/)
  await shows(['runs', 'show', '01K9ZT5R9C8YQ2W7C0M3V6X1AB'], /a +- +done +0 +1\.5 s +- +-\nb +-/)
  await shows(['runs', 'cancel', '01K9ZT5R9C8YQ2W7C0M3V6X1AB'], /state +cancelled/)
  await shows(['runs', 'events', '01K9ZT5R9C8YQ2W7C0M3V6X1AB', '--after', '4'], /^\{"seq":5,/)
  await shows(['outbox', 'list'], /01K9ZT5R9C8YQ2W7C0M3V6X1AC +failed +t\/s\/f +2\.0 KiB .* no/)
  await shows(['outbox', 'retry'], /1 tried now/)
  await shows(['outbox', 'retry', ENTRY], /1 tried now/)
  await shows(['outbox', 'drop', ENTRY], /01K9ZT5R9C8YQ2W7C0M3V6X1AC is dropped/)
})

test('the same as JSON', async t => {
  const relay = await startSmallRelay(t, HANDLERS)
  const { stdout } = await treeline(t, ['nodes', 'list', '--json', '--server', relay.url])
  assert.deepEqual(JSON.parse(stdout), NODES)
  const run = await treeline(t, ['runs', 'show', '01K9ZT5R9C8YQ2W7C0M3V6X1AB', '--json', '--server', relay.url])
  assert.match(run.stdout, /"node": "a"[\s\S]*"node": "b"/)
})

test('nodes are asked for page by page, each after the last one of the page before', async t => {
  const asked: (string | null)[] = []
  const relay = await startSmallRelay(t, {
    'GET nodes': ({ query }) => {
      asked.push(query.get('after'))
      return query.get('after') === null ? { nodes: NODES.slice(0, 1), next: 'root' } : { nodes: NODES.slice(1) }
    }
  })
  const { stdout } = await treeline(t, ['nodes', 'list', '--json', '--server', relay.url])
  assert.deepEqual(JSON.parse(stdout), NODES)
  assert.deepEqual(asked, [null, 'root'])
})

test('over TLS: a pin, a CA, a client certificate, a token; and nothing else is trusted', async t => {
  const relay = await startSmallRelay(t, HANDLERS)
  const folder = await temporaryFolder(t)
  const server = await makeCertificate(join(folder, 'server'))
  const client = await makeCertificate(join(folder, 'client'))
  const shown: (string | undefined)[] = []
  const tlsServer = createServer(
    { cert: server.cert, key: server.key, minVersion: 'TLSv1.3', requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      const { socket } = request
      shown.push(server.fingerprintOf(socket), request.headers.authorization)
      assert.equal(request.url, '/rudder/relay-api/nodes/a/route')
      relay.listener(request, response)
    }
  )
  const url = `https://localhost:${await listen(t, tlsServer)}`
  const route = (...more: string[]) => treeline(t, ['nodes', 'route', 'a', '--server', url, ...more])
  await writeFile(join(folder, 'token'), 'secret\n')

  const pinned = await route('--pin', server.fingerprint, '--cert', client.certFile, '--key', client.keyFile)
  assert.equal(pinned.code, 0, pinned.stderr)
  assert.deepEqual(shown.splice(0), [client.fingerprint, undefined])
  const trusted = await route('--ca', server.certFile, '--token-file', join(folder, 'token'))
  assert.equal(trusted.code, 0, trusted.stderr)
  assert.deepEqual(shown.splice(0), [undefined, 'Bearer secret'])

  const wrongPin = await route('--pin', `sha256:${'00'.repeat(32)}`)
  assert.equal(wrongPin.code, 1)
  assert.match(wrongPin.stderr, /not the one in --pin/)
  assert.equal((await route()).code, 1)
  assert.equal((await route('--ca', client.certFile)).code, 1)
  assert.equal((await route('--pin', 'rubbish')).code, 2)
  assert.equal((await route('--cert', client.certFile)).code, 2)
  assert.deepEqual(shown, [])
})

test('plain HTTP to a port for TLS is told as that', async t => {
  const { certFile, keyFile } = await makeCertificate(join(await temporaryFolder(t), 'server'))
  const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)])
  const port = await listen(t, createServer({ cert, key }))
  const { code, stderr } = await treeline(t, ['nodes', 'list', '--server', `http://127.0.0.1:${port}`])
  assert.equal(code, 1)
  assert.match(stderr, /it closed the connection .*; if this is a port for TLS, use https:\/\/\n$/)
})
