import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type CallOptions, Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { makeAgentCertificate } from '../../demo/pki.js'
import { eventually } from '../support/eventually.js'
import { pathOf, startTextService, type TextService, toBytes, toText } from '../support/grpc/text-service.js'
import { CLIENT_TOKEN, startClientOf } from '../support/relays/clients.js'
import { startTree } from '../support/relays/relay-tree.js'
import { editConfig } from '../support/relays/tree-files.js'

const SECTIONS = ['near', 'far']
  .flatMap(key =>
    [false, true].map(tls => `[[service_listener]]\nlisten = "127.0.0.1:0"\ntls = ${tls}\nfixed = "${key}"\n`)
  )
  .join('\n')

/** Two relays; the service `near` (in the clear) at the first one, `far` (over TLS) at the second, each at two listeners of the first. */
async function startServices(t: TestContext) {
  const tree = await startTree(t, {
    relays: [
      { id: 'root', under: 'root', nodes: ['node-r1'] },
      { id: 'low', under: 'root', nodes: ['node-l1'], byLink: true }
    ],
    absent: ['root', 'low'],
    settings: { tokens: ['clients_file = "clients"'] }
  })
  const hash = createHash('sha256').update(CLIENT_TOKEN).digest('hex')
  for (const id of ['root', 'low']) await writeFile(join(tree.relay(id).directory, 'clients'), `register:* ${hash}\n`)
  await editConfig(tree.relay('root'), text => `${text}\n${SECTIONS}`)
  const root = await tree.restart('root')
  await tree.restart('low')
  const ready = await root.logged(text => text.includes('services at http://'))
  const [nearPlain = 0, nearTls = 0, farPlain = 0, farTls = 0] = [
    ...ready.matchAll(/services at https?:[^"]+?:(\d+)/g)
  ].map(([, port]) => Number(port))
  const identity = await makeAgentCertificate({ nodeId: 'service', hostname: 'localhost' })
  const near = await startTextService(t)
  const far = await startTextService(t, identity)
  await startClientOf(t, tree, {
    relay: 'root',
    key: 'near',
    id: 'one',
    baseUrl: `http://127.0.0.1:${near.port}`,
    protocol: 'h2c'
  })
  await startClientOf(t, tree, {
    relay: 'low',
    key: 'far',
    id: 'one',
    baseUrl: `https://127.0.0.1:${far.port}`,
    protocol: 'h2',
    serviceCa: identity.certificatePem
  })
  const ca = tree.relay('root').certificate.certificatePem
  return { near, far, nearPlain, nearTls, farPlain, farTls, ca }
}

function open(t: TestContext, port: number, ca: string | undefined): Client {
  const secure = ca === undefined ? credentials.createInsecure() : credentials.createSsl(Buffer.from(ca))
  const client = new Client(`localhost:${port}`, secure, { 'grpc.max_receive_message_length': -1 })
  t.after(() => client.close())
  return client
}

interface Answer {
  readonly error: ServiceError | null
  readonly text: string | undefined
  readonly first: Metadata
  readonly last: Metadata
}

function echo(client: Client, text: string, metadata = new Metadata()): Promise<Answer> {
  return new Promise(resolve => {
    let first = new Metadata()
    let last = new Metadata()
    let answer: Pick<Answer, 'error' | 'text'> | undefined
    const call = client.makeUnaryRequest(pathOf('echo'), toBytes, toText, text, metadata, (error, value) => {
      answer = { error, text: value }
    })
    call.on('metadata', got => {
      first = got
    })
    call.on('status', ({ metadata: got }) => {
      last = got
      setImmediate(() => resolve({ error: null, text: undefined, ...answer, first, last }))
    })
  })
}

function joinParts(client: Client, parts: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const call = client.makeClientStreamRequest(pathOf('join'), toBytes, toText, (error, value) =>
      error === null ? resolve(value) : reject(error)
    )
    for (const part of parts) call.write(part)
    call.end()
  })
}

interface Streamed {
  readonly parts: readonly string[]
  readonly code: number
  readonly details: string
  readonly metadata: Metadata
}

function stream(client: Client, name: string, text: string, options: CallOptions = {}) {
  const call = client.makeServerStreamRequest(pathOf(name), toBytes, toText, text, new Metadata(), options)
  const parts: string[] = []
  call.on('data', part => parts.push(String(part)))
  call.on('error', () => undefined) // the status tells
  const ended = new Promise<Streamed>(resolve => {
    call.on('status', ({ code, details, metadata }) => resolve({ parts, code, details, metadata }))
  })
  return { call, parts, ended }
}

async function checkCalls(client: Client, service: TextService): Promise<void> {
  const metadata = new Metadata()
  metadata.add('x-said', 'one')
  metadata.add('x-said', 'two')
  const { error, text, first, last } = await echo(client, 'hello', metadata)
  assert.deepEqual([error, text], [null, 'hello'])
  assert.match(String(first.get('x-first')), /^a one(?:\+|, )two$/)
  assert.deepEqual(last.get('x-last-bin'), [Buffer.of(0, 255)])

  const large = 'x'.repeat(3 * 1024 * 1024)
  assert.equal((await echo(client, large)).text, large)
  assert.equal(await joinParts(client, ['a', 'b', large, 'c']), `ab${large}c`)
  assert.deepEqual((await stream(client, 'split', 'a b c').ended).parts, ['a', 'b', 'c'])

  const talk = client.makeBidiStreamRequest(pathOf('talk'), toBytes, toText)
  const answered = () => new Promise<string>(resolve => talk.once('data', heard => resolve(String(heard))))
  for (const said of ['1', '2', '3']) {
    const heard = answered()
    talk.write(said)
    assert.equal(await heard, `you said ${said}`)
  }
  const over = new Promise<number>(resolve => talk.once('status', ({ code }) => resolve(code)))
  talk.end()
  talk.resume()
  assert.equal(await over, status.OK)

  const refused = await stream(client, 'refuse', 'x').ended
  assert.deepEqual([refused.code, refused.details], [status.NOT_FOUND, 'there is no ünicorn'])
  assert.deepEqual(refused.metadata.get('x-why'), ['because'])
  assert.equal((await stream(client, 'unknown', 'x').ended).code, status.UNIMPLEMENTED)

  const before = service.cancelled()
  const given = stream(client, 'wait', 'x')
  await eventually('the first word', () => given.parts.length === 1)
  given.call.cancel()
  assert.equal((await given.ended).code, status.CANCELLED)
  await eventually('the cancellation at the server', () => service.cancelled() === before + 1)
  const late = stream(client, 'wait', 'x', { deadline: Date.now() + 300 })
  assert.equal((await late.ended).code, status.DEADLINE_EXCEEDED)
  await eventually('the deadline at the server', () => service.cancelled() > before && service.waiting() === 0)
}

test('gRPC passes through listeners of services', async t => {
  const { near, far, nearPlain, nearTls, farPlain, farTls, ca } = await startServices(t)
  const ways = [
    { name: 'without TLS, over one relay', port: nearPlain, service: near, trust: undefined },
    { name: 'over TLS and one relay', port: nearTls, service: near, trust: ca },
    { name: 'without TLS, over two relays to a service with TLS', port: farPlain, service: far, trust: undefined },
    { name: 'over TLS and two relays to a service with TLS', port: farTls, service: far, trust: ca }
  ]
  for (const { name, port, service, trust } of ways) {
    await t.test(name, () => checkCalls(open(t, port, trust), service))
  }
})
