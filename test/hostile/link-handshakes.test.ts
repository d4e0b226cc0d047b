import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { test } from 'node:test'
import type { WebSocket } from 'ws'
import { makeAgentCertificate } from '../../demo/pki.js'
import type { TreeMember } from '../../demo/relay-tree.js'
import { MAX_MESSAGE_BYTES } from '../../src/links/wire/protocol.js'
import { eventually } from '../support/eventually.js'
import { openHostileLane } from '../support/hostile/hostile-lane.js'
import { type Greeting, greet, openHostileLink, openRawLink } from '../support/hostile/hostile-link.js'
import { assertOthersServed, hostileTree, logOfRoot, watchMemory } from '../support/hostile/hostile-tree.js'
import { orLong } from '../support/long.js'
import { exchangeRaw, head } from '../support/network/raw-client.js'

/** More than may be under way at once. */
const MANY = orLong(800, 2_000)

test('who does not prove to be somebody known gets no link, and the log says why', async t => {
  const tree = await hostileTree(t)
  const root = tree.relay('root')
  const [evil, good, g1] = [tree.member('evil'), tree.member('good'), tree.member('g1')]
  await assertOthersServed(tree)
  const standing = await openHostileLink(t, root, evil)

  const stranger = (await makeAgentCertificate({ nodeId: 'evil', hostname: 'x' })).certificateDer.toString('base64')
  const certificateOf = (member: TreeMember) => member.certificate.certificateDer.toString('base64')
  const lies: readonly (readonly [name: string, member: TreeMember, greeting: Greeting, reason: RegExp])[] = [
    ['a wrong signature', evil, { change: identity => ({ ...identity, signature: 'AAAA' }) }, /signature is not one/],
    [
      'an answer to somebody in between, who has a certificate of its own',
      evil,
      { seen: 'ab'.repeat(32) },
      /somebody stands in between/
    ],
    [
      'another certificate than the one that was signed for',
      evil,
      { seen: 'ab'.repeat(32), change: id => ({ ...id, seen: standing.seen }) },
      /signature is not one/
    ],
    [
      'a certificate that nobody knows, whose signature is not looked at',
      evil,
      { change: id => ({ ...id, certificate: stranger, signature: 'AAAA' }) },
      /no node is known by the certificate/
    ],
    [
      'a signature over another nonce',
      evil,
      { challenge: { nonce: randomBytes(32).toString('base64') } },
      /signature is not one/
    ],
    ['a signature made for another relay', evil, { challenge: { relay: 'good' } }, /signature is not one/],
    [
      'a signature for a lane',
      evil,
      { purpose: 'lane', link: standing.id, change: id => ({ ...id, purpose: 'link' }) },
      /signature is not one/
    ],
    [
      "another one's certificate",
      evil,
      { change: id => ({ ...id, certificate: certificateOf(good) }) },
      /signature is not one/
    ],
    ['no certificate', evil, { change: id => ({ ...id, certificate: 'AAAA' }) }, /cannot be read|no node is known/],
    ['a version of the future', evil, { change: id => ({ ...id, version: 99 }) }, /version 99/],
    ['a node of another relay', g1, {}, /not managed by root/],
    ['the relay itself', tree.member('root'), {}, /this relay itself/],
    ["a lane of another one's link", good, { purpose: 'lane', link: standing.id }, /does not stand/],
    ['a lane of no link', evil, { purpose: 'lane', link: 'x' }, /does not stand/],
    [
      'a purpose that there is not',
      evil,
      { change: id => ({ ...id, purpose: 'all' as 'link' }) },
      /an identity was expected/
    ]
  ]
  for (const [name, member, greeting, reason] of lies) {
    await t.test(name, async () => {
      const from = tree.processes.get('root')?.log.length ?? 0
      const link = await openRawLink(t, root.url)
      const said = await greet(link, member, greeting)
      assert.equal(said.treeline, 'refused')
      assert.match(String(said.reason), reason)
      await link.closed
      await eventually('a line of log', () => reason.test(logOfRoot(tree, from)))
    })
  }
  const rubbish: readonly (readonly [name: string, message: string | Buffer])[] = [
    ['no JSON', 'hello'],
    ['a list', '[]'],
    ['nothing that it could be', '{}'],
    ['bytes', Buffer.from('{}')],
    ['a long text', `{"treeline":"identity","program":"${'x'.repeat(20_000)}"}`],
    ['a message beyond all bounds', 'x'.repeat(MAX_MESSAGE_BYTES + 1)]
  ]
  for (const [name, message] of rubbish) {
    await t.test(`${name} instead of an identity`, async () => {
      const link = await openRawLink(t, root.url)
      await link.next()
      const from = tree.processes.get('root')?.log.length ?? 0
      await link.send(message)
      await link.closed
      await eventually('a line of log', () => logOfRoot(tree, from).includes('"link refused"'))
    })
  }
  assert.equal(standing.socket.readyState, standing.socket.OPEN)
  await assertOthersServed(tree)
})

test('handshakes without end, by the hundred: they end, and others are served meanwhile', async t => {
  const tree = await hostileTree(t)
  const root = tree.relay('root')
  const checkMemory = await watchMemory(tree)
  const silent: { readonly closed: Promise<unknown>; readonly drip: () => void }[] = []
  const openOne = async (index: number) => {
    if (index % 2 === 0) {
      const { socket, closed } = await openRawLink(t, root.url)
      silent.push({ closed, drip: () => partOf(socket, 'x') })
    } else {
      const { socket, closed } = await openHostileLane(t, root.url)
      silent.push({ closed, drip: () => void socket.write('x') })
    }
  }
  for (let opened = 0; opened < MANY; opened += 50) {
    await Promise.allSettled(Array.from({ length: 50 }, (_, index) => openOne(index)))
    if (opened % 500 === 0) for (const { drip } of silent) drip()
  }
  t.diagnostic(`${silent.length} of ${MANY} were let in`)
  await tree.processes.get('good')?.stop()
  await tree.restart('good')
  await assertOthersServed(tree)
  await checkMemory()
  const dripping = setInterval(() => {
    for (const { drip } of silent) drip()
  }, 500)
  t.after(() => clearInterval(dripping))
  await Promise.all(silent.map(({ closed }) => closed))
  await assertOthersServed(tree)
})

test('connections that never begin their TLS keep nobody else out', async t => {
  const tree = await hostileTree(t)
  const { port } = new URL(tree.relay('root').url)
  const sockets = Array.from({ length: 300 }, () => connect({ host: '127.0.0.1', port: Number(port) }))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
  })
  for (const [index, socket] of sockets.entries()) {
    socket.on('error', () => undefined)
    if (index % 2 === 0) socket.write(Buffer.from('160301', 'hex'))
  }
  const link = await openHostileLink(t, tree.relay('root'), tree.member('evil'))
  assert.ok(sockets.some(socket => !socket.destroyed))
  await tree.processes.get('good')?.stop()
  await tree.restart('good')
  await assertOthersServed(tree)
  link.socket.terminate()
})

/** One more piece of a message that does not end. */
function partOf(socket: WebSocket, text: string): void {
  if (socket.readyState === socket.OPEN) socket.send(text, { fin: false })
}

test('upgrade requests by the thousand, and to other places, are answered and closed', async t => {
  const tree = await hostileTree(t)
  const { port } = new URL(tree.relay('root').localUrl)
  const say = (path: string, upgrade: string) =>
    new Promise<string>(resolve => {
      const socket = connect({ host: '127.0.0.1', port: Number(port), allowHalfOpen: true })
      let text = ''
      socket.on('data', chunk => {
        text += chunk
      })
      socket.on('error', () => resolve(text))
      socket.on('end', () => resolve(text)) // our side stays open
      t.after(() => socket.destroy())
      socket.write(
        `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: ${upgrade}\r\n\r\n`
      )
    })
  for (let round = 0; round < 20; round += 1) {
    const answers = await Promise.all(Array.from({ length: 100 }, () => say('/v1/relay/register', 'websocket')))
    for (const answer of answers) assert.match(answer, /^HTTP\/1.1 400 /)
  }
  // What a client offers besides HTTP/1.1 may be left alone (RFC 9110, section 7.8).
  assert.match(await say('/uuid', 'h2c'), /^HTTP\/1.1 200 [\s\S]*root$/)
  assert.match(await say('/uuid', 'websocket'), /^HTTP\/1.1 200 [\s\S]*root$/)
  const offer = head(
    'POST /uuid HTTP/1.1',
    'Host: x',
    'Connection: Upgrade, close',
    'Upgrade: h2c',
    'Content-Length: 3'
  )
  assert.match(await exchangeRaw(t, tree.relay('root'), `${offer}abc`, true), /^HTTP\/1.1 40[45] /)
  const plain = head('GET /uuid HTTP/1.1', 'Host: x', 'Connection: Upgrade, close', 'Upgrade: h2c')
  assert.match(await exchangeRaw(t, tree.relay('root'), plain, true), /^HTTP\/1.1 200 [\s\S]*root$/)
  await assertOthersServed(tree)
})
