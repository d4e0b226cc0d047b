import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { makeAgentCertificate } from '../../demo/pki.js'
import { LinkSecrets } from '../../src/links/upper/link-secrets.js'
import { ChallengeError, parseWelcome } from '../../src/links/wire/challenge.js'
import { eventually } from '../support/eventually.js'
import { makeLowerSide, startUpperSide } from '../support/parts/links.js'

test('a secret tells its link, and nothing else does', () => {
  const secrets = new LinkSecrets()
  const [one, other] = [randomUUID(), randomUUID()]
  const secret = secrets.of(one)
  assert.equal(secrets.linkOf(secret), one)
  assert.equal(secrets.linkOf(secrets.of(other)), other)
  const [, code = ''] = secret.split('.')
  assert.equal(Buffer.from(code, 'base64url').length, 32)
  const wrong = [
    '',
    '.',
    one,
    `${one}.`,
    code,
    `.${code}`,
    `${other}.${code}`,
    `${one}.${code.slice(0, -2)}`,
    `${one}.${code}AAAA`,
    `${one}.${Buffer.alloc(32).toString('base64url')}`,
    `${one}.${'A'.repeat(100_000)}`,
    new LinkSecrets().of(one)
  ]
  for (const text of wrong) assert.equal(secrets.linkOf(text), undefined, text.slice(0, 100))
})

test('a welcome may come without a secret, as older relays send it, and with more than is known', () => {
  const welcome = { treeline: 'welcome', link: 'x', pingMs: 10 } as const
  const secret = 'a.0123456789abcdef-_'
  assert.deepEqual(parseWelcome(JSON.stringify(welcome), 'relay'), welcome)
  assert.deepEqual(parseWelcome(JSON.stringify({ ...welcome, secret, later: {} }), 'relay'), { ...welcome, secret })
  for (const wrong of [1, null, {}, 'short', 'with a space in it', `${secret}\r\nx: y`, 'x'.repeat(1_000)]) {
    assert.deepEqual(parseWelcome(JSON.stringify({ ...welcome, secret: wrong }), 'relay'), welcome)
  }
  assert.throws(() => parseWelcome(JSON.stringify({ treeline: 'welcome', secret }), 'relay'), ChallengeError)
})

test('a link has a secret for its own upper side, known while it stands; the next link has another one', async t => {
  const own = await makeAgentCertificate({ nodeId: 'node-1', hostname: '127.0.0.1' })
  const upper = await startUpperSide(t, new Map([[own.certificateDer.toString('base64'), 'node-1']]))
  const { dialer } = makeLowerSide(t, upper, own, (_request, response) => response.end())
  const address = upper.url.replace('wss:', 'https:')
  const { port } = new URL(address)
  assert.deepEqual([dialer.secretFor(address), dialer.isAwaited], [undefined, true])
  dialer.start()
  const first = await eventually('the link', () => dialer.secretFor(address))
  assert.equal(dialer.isAwaited, false)
  assert.equal(upper.registry.nodeOfSecret(first), 'node-1')
  for (const another of ['https://127.0.0.1', `https://localhost:${port}`, `http://127.0.0.1:${port}`]) {
    assert.equal(dialer.secretFor(another), undefined, another)
  }
  const lost = new Promise<string | undefined>(resolve => {
    const stop = dialer.onChange(() => {
      stop()
      resolve(dialer.secretFor(address))
    })
  })
  upper.cut()
  assert.equal(await lost, undefined)
  await eventually('the loss', () => upper.registry.nodeOfSecret(first) === undefined)
  const second = await eventually('the next link', () => dialer.secretFor(address))
  assert.notEqual(second, first)
  assert.deepEqual(
    [first, second].map(secret => upper.registry.nodeOfSecret(secret)),
    [undefined, 'node-1']
  )
})

test('nothing is given to clients, and nothing is known by a link of theirs', async t => {
  const own = await makeAgentCertificate({ nodeId: 'x', hostname: '127.0.0.1' })
  const upper = await startUpperSide(t, new Map(), {
    admitClient: ({ key, id }) => ({ owner: { kind: 'client', id: key, clientId: id } })
  })
  const { dialer } = makeLowerSide(t, upper, own, (_request, response) => response.end(), {
    handshake: async () => ({
      credentials: { client: { key: 'node-1', id: 'one', token: 'a-token-that-is-long' } },
      program: 'x'
    })
  })
  dialer.start()
  await eventually('the link', () => !dialer.isAwaited)
  assert.equal(dialer.secretFor(upper.url.replace('wss:', 'https:')), undefined)
  const [link] = upper.registry.all()
  assert.ok(link !== undefined)
  assert.equal(upper.registry.nodeOfSecret(upper.registry.secretFor(link.id)), undefined)
})
