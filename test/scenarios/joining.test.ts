import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash, createPrivateKey, createPublicKey } from 'node:crypto'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { makeAgentCertificate } from '../../demo/pki.js'
import { eventually } from '../support/eventually.js'
import {
  certificateOf,
  exists,
  getJson,
  linksOf,
  type Machine,
  startJoinedTree,
  succeed,
  untilLinked
} from '../support/relays/joined-tree.js'
import { listen } from '../support/relays/small-relay.js'

/** Its link may stand a moment before. */
function untilConfigured({ id, folder }: Machine, { id: above, host, port }: Machine): Promise<boolean> {
  return eventually(`${host}:${port} in the configuration of ${id}`, async () => {
    return (await readFile(join(folder, 'agent.conf'), 'utf8')).includes(
      `\nhost = "${host}:${port}"\nnode_id = "${above}"\n`
    )
  })
}

test('a tree grows from nothing: a relay joins the root, a node joins below the relay', async t => {
  const tree = await startJoinedTree(t)
  const { root } = tree
  const relay = await tree.machine('relay-a')
  const node = await tree.machine('node-1')
  const relayLine = await tree.token('--relay')
  const joined = await succeed(tree.join(relay, relayLine))
  assert.match(joined.stdout, /relay-a has joined as a relay under root/)
  assert.match(joined.stdout, new RegExp(`treeline serve --config ${relay.folder}`))
  const relayProcess = await tree.serve(relay)
  await untilLinked(root, 'relay-a')
  const { result: links } = (await getJson(root, '/v1/relay/links')) as { result: { kind: string }[] }
  assert.equal(links[0]?.kind, 'relay', 'though nobody is below it yet')

  await t.test('that it has no tree yet when it first starts is no error', async () => {
    await relayProcess.logged(line => line.includes('tree received from the policy server'))
    assert.ok(relayProcess.log.some(line => line.includes('waiting for the first tree')))
    assert.deepEqual(
      relayProcess.log.filter(line => line.includes('"level":50')),
      []
    )
  })

  await t.test('only its own files are secret, and the key of the CA stays at the root', async () => {
    assert.equal(await exists(join(relay.folder, 'ca.key')), false)
    for (const secret of [
      join(root.folder, 'ca.key'),
      ...[root, relay].flatMap(({ folder }) => ['tls.key', 'sign.key'].map(name => join(folder, name)))
    ]) {
      assert.equal((await stat(secret)).mode & 0o777, 0o600, secret)
    }
    assert.equal((await certificateOf(relay)).subjectAltName, 'IP Address:127.0.0.2, URI:urn:treeline:purpose:relay')
  })

  await t.test('two keys: one for TLS, and one for files, which the tree knows by its hash', async () => {
    const keyIn = async (name: string) => createPrivateKey(await readFile(join(relay.folder, name)))
    assert.equal((await keyIn('tls.key')).asymmetricKeyDetails?.namedCurve, 'prime256v1')
    const signing = await keyIn('sign.key')
    assert.equal(signing.asymmetricKeyType, 'ed25519')
    const { key_hash: known } = (await getJson(root, '/nodes/relay-a')) as { key_hash: string }
    const publicKey = createPublicKey(signing).export({ type: 'spki', format: 'der' })
    assert.equal(known, `sha256//${createHash('sha256').update(publicKey).digest('base64')}`)
  })

  await t.test('the unit to install starts what is in the folder', async () => {
    for (const { id, folder } of [root, relay]) {
      const unit = await readFile(join(folder, `treeline-relay-${id}.service`), 'utf8')
      const [program = '', ...args] = /^ExecStart=(.*)$/m.exec(unit)?.[1]?.split(' ') ?? []
      const { stdout } = await promisify(execFile)(program, [...args, '--test'])
      assert.match(stdout, /: the configuration is in order/)
    }
  })

  await t.test('of a token the root keeps a hash', async () => {
    const [, secret = ''] = relayLine[3]?.split('.') ?? []
    assert.ok(secret.length > 20)
    for (const name of ['state.db', 'state.db-wal']) {
      const bytes = await readFile(join(root.folder, 'data', name))
      assert.equal(bytes.includes(secret), false, name)
      assert.equal(bytes.includes(Buffer.from(secret, 'base64url')), false, name)
    }
  })

  const nodeLine = await tree.token('--node', '--under', 'relay-a', '--uses', '5')
  assert.equal(nodeLine[1], `https://${relay.host}:${relay.port}`)

  await t.test('another CA than the one in the token is refused before the token is sent', async () => {
    const asked: string[] = []
    const { certificatePem: cert, privateKeyPem: key } = await makeAgentCertificate({
      nodeId: 'x',
      hostname: 'localhost'
    })
    const port = await listen(
      t,
      createServer({ cert, key }, (request, response) => {
        asked.push(`${request.method} ${request.url}`)
        response.end(JSON.stringify({ ca: cert, relay: 'relay-a' }))
      })
    )
    const [command = '', , ...rest] = nodeLine
    const refused = await tree.join(node, [command, `https://127.0.0.1:${port}`, ...rest])
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /presents another CA .* The token was not sent/)
    assert.deepEqual(asked, ['GET /v1/join/ca'])
  })

  await t.test('somebody in between who shows the right CA, but has no certificate of it, gets no token', async () => {
    const ca = await readFile(join(root.folder, 'ca.pem'), 'utf8')
    const { certificatePem: cert, privateKeyPem: key } = await makeAgentCertificate({
      nodeId: 'x',
      hostname: '127.0.0.1'
    })
    const asked: string[] = []
    const server = createServer({ cert, key }, (request, response) => {
      asked.push(`${request.method} ${request.url}`)
      response.end(JSON.stringify({ ca, relay: 'relay-a' }))
    })
    const port = await listen(t, server)
    const [command = '', , ...rest] = nodeLine
    const refused = await tree.join(node, [command, `https://127.0.0.1:${port}`, ...rest])
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /cannot be asked: .*issued by nobody whom this machine trusts/)
    assert.deepEqual(asked, ['GET /v1/join/ca'])
  })

  await t.test(
    'another relay of the tree that shows its own certificate as the one of the policy server gets no token',
    async () => {
      const [ca, cert, key] = await Promise.all(
        ['ca.pem', 'certificate.pem', 'tls.key'].map(name => readFile(join(relay.folder, name), 'utf8'))
      )
      const asked: string[] = []
      const server = createServer({ cert, key }, (request, response) => {
        asked.push(`${request.method} ${request.url}`)
        response.end(JSON.stringify({ ca, relay: 'root' }))
      })
      const port = await listen(t, server, relay.host)
      const [command = '', , ...rest] = nodeLine
      const refused = await tree.join(node, [command, `https://${relay.host}:${port}`, ...rest])
      assert.equal(refused.code, 1)
      assert.match(refused.stderr, /cannot be asked: it presents a certificate of the node "relay-a", not of root/)
      assert.deepEqual(asked, ['GET /v1/join/ca'])
    }
  )

  await t.test('tokens that are used, expired, revoked or unknown are refused with the reason', async () => {
    const other = await tree.machine('other')
    const say = async (line: readonly string[]) => {
      const { code, stderr } = await tree.join(other, line)
      assert.equal(code, 1, stderr)
      return stderr
    }
    assert.match(await say(relayLine), /refused \(403\): the join token \w+ has been used/)
    const short = await tree.token('--relay', '--expires', '1s')
    const madeAtMs = Date.now()
    await eventually('the end of the token', () => Date.now() - madeAtMs > 1_000)
    assert.match(await say(short), /refused \(403\): the join token \w+ expired at/)
    const revoked = await tree.token('--node')
    await succeed(tree.ask(root, 'token', 'revoke', revoked[3]?.split('.')[0] ?? ''))
    assert.match(await say(revoked), /refused \(403\): the join token \w+ was revoked/)
    const unknown = revoked.map((word, index) => (index === 3 ? `000000000000${word.slice(12)}` : word))
    assert.match(await say(unknown), /refused \(403\): this join token is not known/)
    assert.equal(await exists(join(other.folder, 'main.conf')), false)
    const list = await succeed(tree.ask(root, 'token', 'list'))
    assert.match(list.stdout, /revoked/)
    assert.equal(list.stdout.includes(revoked[3]?.split('.')[1] ?? ''), false, 'no secret is shown')
  })

  await t.test('no relay joins under another spelling of the address of another one', async () => {
    const line = await tree.token('--relay')
    for (const host of [`[::ffff:${root.host}]`, '[::ffff:7f00:1]', '[0:0:0:0:0:FFFF:127.0.0.1]']) {
      const other = { ...(await tree.machine('other')), host }
      const { code, stderr } = await tree.join(other, line)
      assert.equal(code, 1)
      assert.match(stderr, /refused \(409\): the host name 127\.0\.0\.1 is that of the root/)
    }
    await succeed(tree.join({ ...(await tree.machine('named')), host: 'named.example' }, line))
    const namesake = { ...(await tree.machine('namesake')), host: 'Named.EXAMPLE.' }
    const { code, stderr } = await tree.join(namesake, await tree.token('--relay'))
    assert.equal(code, 1)
    assert.match(stderr, /refused \(409\): the host name named\.example is that of named/)
    const removed = await tree.ask(root, 'nodes', 'remove', 'named')
    assert.equal(removed.stdout, 'named is removed; its certificates and the join tokens for its id are revoked\n')
  })

  await t.test('a node joins through the relay, which passes it up', async () => {
    const taken = await tree.join({ ...node, id: 'relay-a' }, nodeLine)
    assert.match(taken.stderr, /refused \(409\): there is a member relay-a.*token create --relay --id relay-a.*--again/)
    await succeed(tree.join(node, nodeLine))
    assert.match(
      await readFile(join(node.folder, 'agent.conf'), 'utf8'),
      new RegExp(`host = "${relay.host}:${relay.port}"`)
    )
    const waiting = await succeed(tree.ask(root, 'run', 'node-1', '--wait', '1h'))
    const record = async () => {
      const run = (await getJson(relay, `/runs/${waiting.stdout.trim()}`)) as { node_records?: { message?: string }[] }
      return run.node_records?.[0]?.message
    }
    await eventually('the run to wait before the first link', async () => (await record()) === 'waits for its link')
    const conf = await readFile(join(node.folder, 'agent.conf'), 'utf8')
    assert.match(conf, /\nnode_id = "relay-a"\n/)
    await writeFile(join(node.folder, 'agent.conf'), conf.replace('node_id = "relay-a"', 'node_id = "root"'))
    const lost = tree.agent(node)
    await lost.printed('it presents a certificate of the node \\"relay-a\\", not of root')
    lost.child.kill('SIGTERM')
    await lost.ended
    await writeFile(join(node.folder, 'agent.conf'), conf)
    tree.agent(node)
    await untilLinked(relay, 'node-1')
    await eventually('the run that waited', async () => (await record()) !== 'waits for its link')
    const nodes = (await getJson(root, '/nodes/node-1')) as { policy_server: string; key_hash: string }
    assert.equal(nodes.policy_server, 'relay-a')
    const route = await succeed(tree.ask(root, 'nodes', 'route', 'node-1'))
    assert.match(route.stdout, /down to relay-a/)
    const again = await tree.join(node, nodeLine)
    assert.equal(again.code, 2)
    assert.match(again.stderr, /agent\.conf is there already: add --again/)
  })

  await t.test('moved, its link is closed by the old relay, and it opens one to the new one', async () => {
    const moved = await succeed(tree.ask(root, 'nodes', 'move', 'node-1', '--under', 'root'))
    assert.match(moved.stdout, new RegExp(`^ {2}host = "${root.host}:${root.port}"\n {2}node_id = "root"$`, 'm'))
    await untilLinked(relay)
    await untilLinked(root, 'node-1', 'relay-a')
    await untilConfigured(node, root)
    const cycle = await tree.ask(root, 'nodes', 'move', 'root', '--under', 'relay-a')
    assert.match(cycle.stderr, /409/)
    await succeed(tree.ask(root, 'nodes', 'move', 'node-1', '--under', 'relay-a'))
    await untilLinked(relay, 'node-1')
    await untilConfigured(node, relay)
  })

  await t.test('removed, its link is closed at once and it does not come back', async () => {
    const kept = await tree.ask(root, 'nodes', 'remove', 'relay-a')
    assert.match(kept.stderr, /policy server of 1: move or remove these first/)
    await succeed(tree.ask(root, 'nodes', 'remove', 'node-1'))
    await untilLinked(relay)
    await relayProcess.logged(line => line.includes('no node is known by the certificate'))
    assert.deepEqual(await linksOf(relay), [])
    await succeed(tree.ask(root, 'nodes', 'remove', 'relay-a'))
    await untilLinked(root)
    await relayProcess.logged(line => line.includes('no node is known by the certificate'))
    assert.deepEqual(await linksOf(root), [])
  })

  await t.test('the id joins again, and what it had before stays revoked', async () => {
    const before = await certificateOf(relay)
    const anew = { ...relay, folder: join(tree.folder, 'relay-a-anew') }
    await succeed(tree.join(anew, await tree.token('--relay')))
    const after = await certificateOf(anew)
    assert.notEqual(after.serialNumber, before.serialNumber)
    const { certificates } = (await getJson(root, '/nodes/relay-a')) as { certificates: { fingerprint: string }[] }
    const listed = certificates.map(({ fingerprint }) => fingerprint)
    assert.deepEqual(listed, [after.fingerprint256.replaceAll(':', '').toLowerCase()])
    const refusals = () => relayProcess.log.filter(line => line.includes('no node is known')).length
    const seen = refusals()
    await eventually('another refusal of the old one', () => refusals() > seen)
    assert.deepEqual(await linksOf(root), [])
  })
})
