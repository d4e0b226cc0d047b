import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { makeAuthority, openAuthority } from '../../src/membership/root/certificate-authority.js'
import { formatCertificate } from '../../src/values/keys/pem.js'
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

  const stop = await startImpostor(t, middle, relay)
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

/** Stands in the place of `middle`, with its key, and answers questions to the root with certificates of its own CA. */
async function startImpostor(t: TestContext, middle: Machine, below: Machine): Promise<() => Promise<void>> {
  const read = (machine: Machine, name: string) => readFile(join(machine.folder, name), 'utf8')
  const nowMs = Date.now()
  const authority = openAuthority(await makeAuthority('Other CA', nowMs))
  const spki = (key: Parameters<typeof createPublicKey>[0]) =>
    createPublicKey(key).export({ type: 'spki', format: 'der' })
  const issue = async ({ id, host }: Machine, publicKey: Buffer) =>
    formatCertificate(
      await authority.issue({ id, purpose: 'relay', hostnames: [host], publicKey, nowMs, lifetimeMs: 900 * DAY_MS })
    )
  const another = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' })
  const answer = JSON.stringify({
    id: below.id,
    kind: 'relay',
    certificate: await issue(below, spki(await read(below, 'tls.key'))),
    ca: authority.certificate,
    policy_server: {
      id: middle.id,
      hostname: middle.host,
      port: middle.port,
      certificates: await issue(middle, another)
    }
  })
  const server = createServer(
    { cert: await read(middle, 'certificate.pem'), key: await read(middle, 'tls.key') },
    (request, response) => {
      request.resume()
      response.setHeader('content-type', 'application/json')
      if (request.url?.endsWith('v1/join/renew') === true) response.end(answer)
      else response.writeHead(404).end()
    }
  )
  server.listen(middle.port, middle.host)
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
