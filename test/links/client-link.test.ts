import assert from 'node:assert/strict'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { Dialer } from '../../src/links/lower/dialer.js'
import { LowerLink } from '../../src/links/lower/lower-link.js'
import type { Admission } from '../../src/links/upper/accepting/link-acceptor.js'
import { createLinkAdministration } from '../../src/links/upper/link-administration.js'
import { answerChallenge, ChallengeError, makeChallenge, parseIdentity } from '../../src/links/wire/challenge.js'
import { MAX_REPLICAS } from '../../src/links/wire/protocol.js'
import { silentLogger } from '../../src/values/logging/logger.js'
import { eventually } from '../support/eventually.js'
import { startUpperSide, type UpperSide } from '../support/parts/links.js'

const TOKEN = 'secret'

function startUpper(t: TestContext) {
  const admitClient = ({ key, id, token }: { key: string; id: string; token: string }): Admission =>
    token === TOKEN ? { owner: { kind: 'client', id: key, clientId: id } } : { refused: 'a wrong token' }
  return startUpperSide(t, new Map(), { admitClient, max: 1_000 })
}

/** A client that answers every request with its id. */
function startLower(t: TestContext, upper: UpperSide, key: string, id: string, token = TOKEN): Dialer {
  const end = new LowerLink({
    routing: (_request, response) => response.end(id),
    openLane: (linkId, purpose) => dialer.openLane(linkId, purpose)
  })
  const dialer = new Dialer({
    upper: async () => ({
      url: upper.url,
      tls: { ca: [upper.certificate.certificatePem], allowPartialTrustChain: true } as object,
      pins: undefined
    }),
    handshake: async () => ({ credentials: { client: { key, id, token } }, program: '0.1.0' }),
    end,
    logger: silentLogger,
    backoff: { firstMs: 20, maxMs: 200 }
  })
  t.after(() => dialer.stop())
  dialer.start()
  return dialer
}

const untilSize = (upper: UpperSide, size: number) => eventually(`${size} links`, () => upper.registry.size === size)

test('replicas of a client are reached under its key, and a node of that name is not', async t => {
  const upper = await startUpper(t)
  for (const id of ['one', 'two', 'three']) startLower(t, upper, 'git', id)
  await untilSize(upper, 3)
  assert.equal(upper.registry.ofNode('git'), undefined)
  assert.equal(upper.registry.ofClient('other'), undefined)
  const reached = new Set<string>()
  await eventually('all three', async () => {
    const link = upper.registry.ofClient('git')
    const answer = await link?.request({ method: 'GET', path: '/', headers: {}, silenceLimitMs: 5_000 })
    if (answer !== undefined) reached.add(await text(answer.body))
    return reached.size === 3
  })
})

test('the same client id again takes the place of the first alone', async t => {
  const upper = await startUpper(t)
  startLower(t, upper, 'git', 'one')
  startLower(t, upper, 'git', 'two')
  await untilSize(upper, 2)
  const [first] = createLinkAdministration(upper.registry).list(undefined, 100)
  const old = upper.registry.byId(first?.linkId ?? '')
  startLower(t, upper, 'git', 'one')
  await old?.closed
  await untilSize(upper, 2)
  assert.deepEqual(
    createLinkAdministration(upper.registry)
      .list(undefined, 100)
      .map(({ owner }) => owner.kind === 'client' && owner.clientId),
    ['two', 'one'],
    'the oldest link first'
  )
})

test('a client has no lanes of another one, and none without its token', async t => {
  const upper = await startUpper(t)
  const own = startLower(t, upper, 'git', 'one')
  await untilSize(upper, 1)
  const [{ linkId } = { linkId: '' }] = createLinkAdministration(upper.registry).list(undefined, 100)
  const link = upper.registry.byId(linkId)
  await own.openLane(linkId, 'lane')
  assert.equal(link?.lanes, 1)
  const others = [startLower(t, upper, 'git', 'two'), startLower(t, upper, 'other', 'one')]
  for (const dialer of others)
    await assert.rejects(dialer.openLane(linkId, 'lane'), /the link of this lane does not stand/)
  const wrong = startLower(t, upper, 'git', 'one', 'guessed')
  await assert.rejects(wrong.openLane(linkId, 'lane'), /a wrong token/)
  assert.equal(link?.lanes, 1)
  assert.ok(link?.isOpen)
})

test('one key does not take all links', async t => {
  const upper = await startUpper(t)
  const dialers = Array.from({ length: MAX_REPLICAS }, (_, index) => startLower(t, upper, 'git', `c${index}`))
  await untilSize(upper, MAX_REPLICAS)
  const late = startLower(t, upper, 'git', 'late')
  await eventually('a refusal', () => /256 clients are registered under git already/.test(late.status.reason ?? ''))
  startLower(t, upper, 'other', 'one')
  await untilSize(upper, MAX_REPLICAS + 1)
  await Promise.all([...dialers, late].map(dialer => dialer.stop()))
})

test('what a client says of itself is checked, and its token is in no message', () => {
  const challenge = makeChallenge('root', { oldest: 1, newest: 1 })
  const client = { key: 'git', id: 'one', token: TOKEN }
  const identity = answerChallenge(
    challenge,
    { client },
    { fingerprint: '' },
    { version: 1, program: 'x', purpose: 'link' }
  )
  assert.deepEqual(parseIdentity(JSON.stringify(identity), challenge.versions), identity)
  for (const wrong of [
    { ...client, key: 'clients' },
    { ...client, key: 'a/b' },
    { ...client, key: '' },
    { ...client, id: 'a b' },
    { ...client, id: 'x'.repeat(129) },
    { ...client, token: 1 },
    { key: 'git', id: 'one' },
    null,
    'git'
  ]) {
    assert.throws(
      () => parseIdentity(JSON.stringify({ ...identity, client: wrong }), challenge.versions),
      (error: Error) => error instanceof ChallengeError && !error.message.includes(TOKEN),
      JSON.stringify(wrong)
    )
  }
})
