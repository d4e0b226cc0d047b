import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { formatCertificate } from '../../src/keys/certificates/pem.js'
import {
  type CertificateAuthority,
  makeAuthority,
  openAuthority
} from '../../src/membership/root/certificate-authority.js'
import { eventually } from '../support/eventually.js'
import { type Machine, startJoinedTree, succeed, untilLinked } from '../support/relays/joined-tree.js'

const DAY_MS = 86_400_000

test('a relay takes over no certificate of its policy server that the CA of the tree did not issue', async t => {
  const tree = await startJoinedTree(t)
  const [middle, relay] = [await tree.machine('relay-a'), await tree.machine('relay-b')]
  await succeed(tree.join(middle, await tree.token('--relay')))
  const former = await tree.serve(middle)
  await untilLinked(tree.root, 'relay-a')
  await succeed(tree.join(relay, await tree.token('--relay', '--under', 'relay-a')))
  await former.stop()
  const files = ['certificate.pem', 'policy-server.pem'].map(name => join(relay.folder, name))
  const contents = () => Promise.all(files.map(file => readFile(file, 'utf8')))
  const before = await contents()

  const { issue, make } = await otherAuthority()
  const certificate = await issue(relay, publicKeyOf(await keyOf(relay)))
  const answer = answerTo(relay, middle, certificate, await issue(middle, make()))
  const stop = await startImpostor(t, middle, { 'v1/join/renew': answer })
  const { log } = await tree.serve(relay)
  const told = (text: string) => eventually(text, () => log.find(line => line.includes(text)))
  const own = await told('refused the certificate that the policy server gave; the former one stays')
  const above = await told('refused a certificate that was given for the policy server')
  for (const line of [own, above]) assert.match(line, /the CA of this tree did not issue it/)
  assert.deepEqual(await contents(), before)

  await stop()
  await tree.serve(middle)
  await untilLinked(middle, 'relay-b') // its certificate is good still
})

test('a machine that joins takes no certificate that the CA of the tree did not issue to it, and for its key', async t => {
  const tree = await startJoinedTree(t)
  const [middle, sibling, relay] = [
    await tree.machine('relay-a'),
    await tree.machine('relay-c'),
    await tree.machine('relay-b')
  ]
  for (const machine of [middle, sibling]) await succeed(tree.join(machine, await tree.token('--relay')))
  const line = await tree.token('--relay', '--under', 'relay-a')
  const { issue, make } = await otherAuthority()
  const [ca, ofSibling, ofMiddle] = await Promise.all([
    readFile(join(tree.root.folder, 'ca.pem'), 'utf8'),
    readFile(join(sibling.folder, 'certificate.pem'), 'utf8'),
    readFile(join(middle.folder, 'certificate.pem'), 'utf8')
  ])
  const issuer = openAuthority({ certificate: ca, key: await readFile(join(tree.root.folder, 'ca.key'), 'utf8') })
  const issued = (publicKey: Buffer) => issueBy(issuer, relay, publicKey)
  const answers: Record<string, string> = { 'v1/join/ca': JSON.stringify({ ca, relay: 'relay-a' }) }
  await startImpostor(t, middle, answers)
  const refusal = async (certificate: string, above: string) => {
    answers['v1/join'] = answerTo(relay, middle, certificate, above)
    const { code, stderr } = await tree.join(relay, line)
    assert.equal(code, 1)
    await assert.rejects(readFile(join(relay.folder, 'main.conf')), { code: 'ENOENT' })
    return stderr
  }
  assert.match(await refusal(ofSibling, ofMiddle), /certificate that was given .*it is for "relay-c", not for relay-b/)
  assert.match(await refusal(await issued(make()), ofMiddle), /certificate that was given .*it is for another key/)
  const key = publicKeyOf(await keyOf(relay)) // which the first attempt made
  assert.match(await refusal(await issue(relay, key), ofMiddle), /the CA of this tree did not issue it/)
  const others = /given for the policy server relay-a cannot be used: /
  assert.match(await refusal(await issued(key), ofSibling), others)
  assert.match(await refusal(await issued(key), await issue(middle, make())), others)

  answers['v1/join'] = answerTo(relay, middle, await issued(key), ofMiddle)
  await succeed(tree.join(relay, line))
})

function keyOf({ folder }: Machine): Promise<string> {
  return readFile(join(folder, 'tls.key'), 'utf8')
}

/** SubjectPublicKeyInfo, DER. */
function publicKeyOf(key: string): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' })
}

async function issueBy(authority: CertificateAuthority, { id, host }: Machine, publicKey: Buffer): Promise<string> {
  const asked = {
    id,
    purpose: 'relay',
    hostnames: [host],
    publicKey,
    nowMs: Date.now(),
    lifetimeMs: 90 * DAY_MS
  } as const
  return formatCertificate(await authority.issue(asked))
}

/** A CA of an attacker's, and a maker of public keys. */
async function otherAuthority() {
  const authority = openAuthority(await makeAuthority('Other CA', Date.now()))
  return {
    issue: (machine: Machine, publicKey: Buffer) => issueBy(authority, machine, publicKey),
    make: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' })
  }
}

function answerTo({ id }: Machine, above: Machine, certificate: string, certificates: string): string {
  const { id: nodeId, host: hostname, port } = above
  return JSON.stringify({
    ...{ id, kind: 'relay', certificate, ca: 'none' },
    policy_server: { id: nodeId, hostname, port, certificates }
  })
}

/** Stands in the place of a relay, with its key. @param answers by path */
async function startImpostor(
  t: TestContext,
  relay: Machine,
  answers: Readonly<Record<string, string>>
): Promise<() => Promise<void>> {
  const cert = await readFile(join(relay.folder, 'certificate.pem'))
  const server = createServer({ cert, key: await keyOf(relay) }, (request, response) => {
    request.resume()
    response.setHeader('content-type', 'application/json')
    const path = /v1\/.*$/.exec(request.url ?? '')?.[0] ?? ''
    const answer = answers[path]
    if (answer === undefined) response.writeHead(404).end()
    else response.end(answer)
  })
  server.listen(relay.port, relay.host)
  await once(server, 'listening')
  const stop = async () => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  t.after(stop)
  return stop
}
