import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { MAX_TOKENS } from '../../src/membership/root/joining/join-tokens.js'
import { DAY_MS, joinAs, joinRequest, type Members, refused, startMembers } from '../support/parts/members.js'

const ASKED = { kind: 'relay', policyServer: 'root', memberId: undefined, uses: 1, lifetimeMs: DAY_MS } as const
const YEARS_MS = 5 * 365 * DAY_MS

/** Lets time pass; the clock moves as well. */
function pass({ clock }: Members, days: number) {
  clock.nowMs += days * DAY_MS
  clock.uptimeMs += days * DAY_MS
}

/** A token that lasts 60 days, and a removed relay whose certificate is revoked until its end. */
async function startRoot(t: Parameters<typeof startMembers>[0]) {
  const root = await startMembers(t)
  const token = await root.token({ lifetimeMs: 60 * DAY_MS })
  await joinAs(root, 'rel-2')
  const [certificate] = await root.repository.certificatesOf('rel-2', root.clock.nowMs)
  assert.ok(certificate !== undefined)
  await root.members.remove('rel-2')
  const stateOfRevoked = () => root.repository.certificateState(certificate.fingerprint)
  return { root, token, stateOfRevoked }
}

test('a clock that is years ahead for weeks, through restarts of root and machine, has it forget nothing', async t => {
  const { root, token, stateOfRevoked } = await startRoot(t)
  root.clock.nowMs += YEARS_MS
  for (let day = 0; day < 25; day += 1) {
    if (day % 5 === 0) root.clock.uptimeMs = 0
    await root.startAgain().createToken(ASKED)
    pass(root, 1)
  }
  root.clock.nowMs -= YEARS_MS
  assert.equal(await stateOfRevoked(), 'revoked')
  await root.startAgain().join(await joinRequest(token, 'rel-3'))
  assert.ok(await root.repository.member('rel-3'))
})

test('a clock that is a year ahead when it is read for the first time has it forget nothing either', async t => {
  const root = await startMembers(t)
  const { clock, repository, members } = root
  const [own] = await repository.certificatesOf('root', clock.nowMs)
  assert.ok(own !== undefined)
  const id = 'made-before'
  const secretHash = randomBytes(32)
  const usable = {
    kind: 'relay',
    policyServer: 'root',
    memberId: undefined,
    usesLeft: 1,
    revokedAtMs: undefined
  } as const
  const expiresAtMs = clock.nowMs + 30 * DAY_MS
  await repository.addToken({ ...usable, id, secretHash, createdAtMs: clock.nowMs, expiresAtMs }, MAX_TOKENS)
  clock.nowMs += 365 * DAY_MS
  for (let day = 0; day < 5; day += 1) {
    await members.createToken(ASKED)
    pass(root, 1)
  }
  assert.ok(await repository.token(id))
})

test('what ended is forgotten though a root is restarted every six hours, and comes up with one that was off', async t => {
  const { root, token, stateOfRevoked } = await startRoot(t)
  const [id = ''] = token.split('.')
  assert.ok(await root.repository.token(id))
  root.clock.nowMs += 200 * DAY_MS // it was off
  root.clock.uptimeMs = 0
  for (let quarter = 0; quarter < 4 * 62; quarter += 1) {
    await root.startAgain().createToken({ ...ASKED, lifetimeMs: 1 })
    pass(root, 0.25)
    if (quarter === 4 * 25) assert.ok(await root.repository.token(id), 'not as soon as that')
  }
  assert.equal(await root.repository.token(id), undefined)
  assert.equal(await stateOfRevoked(), undefined)
})

test('a clock that is ahead makes no room for tokens by forgetting those that are good; revoked ones give way', async t => {
  const { root, token } = await startRoot(t)
  const createdAtMs = root.clock.nowMs
  const good = { kind: 'relay', policyServer: 'root', memberId: undefined, usesLeft: 1, createdAtMs } as const
  const bare = { ...good, expiresAtMs: createdAtMs + DAY_MS, revokedAtMs: undefined, secretHash: randomBytes(32) }
  const present = (await root.repository.tokens()).length
  const ids = Array.from({ length: MAX_TOKENS - present }, (_, at) => `token-${at}`)
  await Promise.all(ids.map(id => root.repository.addToken({ ...bare, id }, MAX_TOKENS)))
  root.clock.nowMs += YEARS_MS
  await assert.rejects(root.members.createToken(ASKED), refused('BUSY', /make room with `treeline token revoke <id>`/))
  await root.members.revokeToken('token-7')
  await root.members.createToken(ASKED)
  root.clock.nowMs -= YEARS_MS
  await root.members.join(await joinRequest(token, 'rel-3'))
  pass(root, 40)
  await root.members.createToken(ASKED)
  assert.ok((await root.repository.tokens()).length < 5, 'they have expired by the right clock')
})
