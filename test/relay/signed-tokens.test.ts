import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeNonce, readConfirmation } from '../../src/membership/revocations/list-confirmation.js'
import { confirmList } from '../../src/membership/revocations/list-confirming.js'
import { ConfirmedFreshness, RootFreshness } from '../../src/membership/revocations/list-freshness.js'
import { makeAuthority, openAuthority } from '../../src/membership/root/certificate-authority.js'
import { createSignedTokens } from '../../src/relay/tokens/signed-tokens.js'
import { silentLogger } from '../../src/values/logging/logger.js'
import { confirmationOf, GRACE_MS, makeSigner, startSignedTokens } from '../support/parts/signed-tokens.js'

const HOUR_MS = 3_600_000
const YEAR_MS = 366 * 24 * HOUR_MS

test('a token of a key of the tree has its scopes until its end, with a minute for clocks that differ', async t => {
  const { tokens, sign, pass, confirm } = await startSignedTokens(t)
  const right = tokens.find(sign())
  assert.deepEqual(right?.scopes(), [{ kind: 'call', key: 'git' }])
  pass(HOUR_MS + 59_000)
  confirm()
  assert.equal(right?.whyNot(), undefined)
  pass(1_000)
  assert.match(right?.whyNot() ?? '', /^it ended at 2026-11-30T01:00:00/)
  assert.deepEqual(right?.scopes(), [])
})

test('a token of an unknown key, of a forged signature, and of another tree is nobody’s or gives nothing', async t => {
  const { tokens, sign, audience, publish, book } = await startSignedTokens(t)
  const stranger = makeSigner(audience)
  assert.equal(tokens.find(sign({}, stranger.signer)), undefined)
  const [head, payload] = sign().split('.')
  assert.equal(tokens.find(`${head}.${payload}.${Buffer.alloc(64).toString('base64url')}`), undefined)
  const [, , signature] = sign({ scope: 'admin' }).split('.')
  assert.equal(tokens.find(`${head}.${payload}.${signature}`), undefined)
  const elsewhere = makeSigner(`treeline:${'x'.repeat(43)}`)
  await publish({ keys: [...book.list.keys, elsewhere.listed] })
  const right = tokens.find(sign({}, elsewhere.signer))
  assert.equal(right?.whyNot(), 'it is for another tree')
  assert.deepEqual(right?.scopes(), [])
})

test('a token that begins later, or ends more than a year from now, gives nothing', async t => {
  const { tokens, sign, clock, pass, confirm } = await startSignedTokens(t)
  const later = tokens.find(sign({ nowMs: clock.rootMs + 120_000 }))
  assert.match(later?.whyNot() ?? '', /^it begins at /)
  pass(60_000)
  assert.equal(later?.whyNot(), undefined)
  const long = tokens.find(sign({ untilMs: clock.rootMs + YEAR_MS + 120_000 }))
  assert.match(long?.whyNot() ?? '', /more than a year from now/)
  confirm()
  assert.equal(tokens.find(sign({ untilMs: clock.rootMs + YEAR_MS }))?.whyNot(), undefined)
})

test('a revoked token and one of a retired key give nothing at once, and listeners hear of it', async t => {
  const { tokens, sign, revoke, publish, openBook, freshness } = await startSignedTokens(t)
  const [one, other] = [tokens.find(sign({ id: 'token-that-is-revoked' })), tokens.find(sign())]
  const heard: (string | undefined)[] = []
  tokens.onChange(() => heard.push(one?.whyNot()))
  await revoke('token-that-is-revoked')
  assert.equal(heard.at(-1), 'it was revoked')
  assert.equal(other?.whyNot(), undefined)
  const again = openBook()
  await again.load()
  const restarted = createSignedTokens({ book: again, freshness, offlineGraceMs: GRACE_MS, logger: silentLogger })
  t.after(() => restarted.close())
  assert.equal(
    restarted.find(sign({ id: 'token-that-is-revoked' }))?.whyNot(),
    'it was revoked',
    'after a restart, too'
  )
  await publish({ keys: [] })
  assert.equal(other?.whyNot(), 'the key that signed it was retired')
  assert.equal(tokens.find(sign()), undefined)
})

test('a relay that is cut off from the root takes tokens for the grace, and a restarted one takes none', async t => {
  const { tokens, sign, pass, confirm, clock, book } = await startSignedTokens(t)
  const right = tokens.find(sign({ untilMs: clock.rootMs + 10 * HOUR_MS }))
  pass(GRACE_MS)
  assert.equal(right?.whyNot(), undefined)
  pass(1)
  assert.match(right?.whyNot() ?? '', /has not reached the root for longer than services\.offline_grace \(1h\)/)
  confirm()
  assert.equal(right?.whyNot(), undefined)
  const freshness = new ConfirmedFreshness(() => clock.uptimeMs)
  const restarted = createSignedTokens({ book, freshness, offlineGraceMs: GRACE_MS, logger: silentLogger })
  t.after(() => restarted.close())
  assert.match(restarted.find(sign())?.whyNot() ?? '', /has not reached the root/)
})

test('the time that a confirmation took counts against tokens, both ways', async t => {
  const { tokens, sign, confirm, clock } = await startSignedTokens(t)
  const right = tokens.find(sign({ untilMs: clock.rootMs + 60_000 }))
  const later = tokens.find(sign({ nowMs: clock.rootMs + 90_000, id: 'token-that-begins-later' }))
  confirm(119_000)
  assert.equal(right?.whyNot(), undefined)
  assert.match(later?.whyNot() ?? '', /begins/, 'it may have been answered at the last moment')
  confirm(120_000)
  assert.match(right?.whyNot() ?? '', /ended/, 'it may have been answered at once')
})

test('a clock of the root that is set back does not make ended tokens good again', () => {
  let wallMs = Date.UTC(2026, 10, 30)
  let uptimeMs = 0
  const freshness = new RootFreshness(
    () => wallMs,
    () => uptimeMs
  )
  uptimeMs += HOUR_MS
  wallMs -= 24 * HOUR_MS
  assert.equal(freshness.time()?.latestMs, Date.UTC(2026, 10, 30) + HOUR_MS)
  wallMs += 48 * HOUR_MS
  assert.equal(freshness.time()?.latestMs, wallMs)
  wallMs = 0
  assert.equal(freshness.time(), undefined, 'nobody knows what time it is')
})

test('a confirmation is the answer to one question, signed by the CA', async t => {
  const tree = await startSignedTokens(t)
  const nonce = makeNonce()
  const text = confirmationOf(tree, nonce, 7, 8)
  const ca = tree.authority.certificate
  assert.deepEqual(readConfirmation(text, nonce, ca), { number: 7, timeMs: 8 })
  assert.equal(readConfirmation(text, makeNonce(), ca), undefined, 'an answer from before')
  const other = openAuthority(await makeAuthority('Another CA', Date.now()))
  assert.equal(readConfirmation(text, nonce, other.certificate), undefined)
  for (const changed of [text.replace('7', '6'), text.replace('time 8', 'time 9'), `${text}\n`, text.slice(1), '']) {
    assert.equal(readConfirmation(changed, nonce, ca), undefined, changed)
  }
})

test('what is no confirmation of the newest list leaves a relay as cut off as it was', async t => {
  const tree = await startSignedTokens(t)
  const { book, clock, freshness, pass } = tree
  const { signal } = new AbortController()
  pass(GRACE_MS)
  const asked = (answer: (nonce: string) => string) =>
    confirmList({ confirm: async nonce => answer(nonce) }, book, freshness, signal)
  assert.equal(await asked(() => 'nothing'), undefined)
  assert.equal(await asked(() => confirmationOf(tree, makeNonce(), book.list.number, clock.rootMs)), undefined)
  assert.equal(await asked(nonce => confirmationOf(tree, nonce, book.list.number + 1, clock.rootMs)), false)
  assert.equal(freshness.ageMs(), GRACE_MS)
  assert.equal(await asked(nonce => confirmationOf(tree, nonce, book.list.number, clock.rootMs)), true)
  assert.equal(freshness.ageMs(), 0)
})
