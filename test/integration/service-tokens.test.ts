import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { ask } from '../support/network/http.js'
import { ALLOWED, ELSEWHERE, type ServiceAnswer, startServiceCallers } from '../support/relays/service-callers.js'

const GIT = 'the-token-for-the-service-git'
const MANY = 'the-token-for-services-like-gi'
const OTHER = 'the-token-for-another-service'
const ADMIN = 'a-token-of-an-administrator'
const CLIENT = 'a-token-of-clients-that-is-long-enough'
const ADMIN_FILE = 'an-admin-token-that-is-long-enough'
const WRONG = 'a-token-that-nobody-has-here'

const line = (scope: string, token: string) => `${scope} ${createHash('sha256').update(token).digest('hex')}\n`
const LINES = line('call:git', GIT) + line('call:gi*', MANY) + line('call:other', OTHER) + line('admin', ADMIN)

const basic = (user: string, token: string) => `Basic ${Buffer.from(`${user}:${token}`).toString('base64')}`

/** All places in which a token may stand. */
const PLACES: Readonly<Record<string, (token: string) => string>> = {
  bearer: token => `Authorization: Bearer ${token}`,
  basic: token => `authorization: ${basic('user', token)}`,
  'x-relay-token': token => `X-Relay-Token: ${token}`,
  'x-opsmx-token': token => `x-opsmx-token: ${token}`
}

/** Kinds of requests by the page that they come from. */
const PAGES = {
  none: [],
  own: ['Sec-Fetch-Site: same-origin'],
  elsewhere: ['Origin: https://evil.example', 'Sec-Fetch-Site: cross-site']
} as const

test('tokens of callers of services', async t => {
  const { relay, tokens, call, held, endless } = await startServiceCallers(t, LINES)
  const absent = await call({ path: '/v1/relay/nil/', lines: [`X-Relay-Token: ${ADMIN}`], from: ELSEWHERE })
  assert.equal(absent.status, 502)
  assert.match(absent.text, /no client is registered under nil/)
  const hidden = absent.text.replace('nil', 'git')

  for (const from of [ALLOWED, ELSEWHERE]) {
    for (const [place, headerOf] of Object.entries(PLACES)) {
      for (const [page, marks] of Object.entries(PAGES)) {
        const isFromElsewhere = page === 'elsewhere'
        const ask = (token: string, more: readonly string[] = []) =>
          call({ from, lines: [...more, headerOf(token), ...marks, 'X-Kept: yes'] })
        const assertPassed = ({ status, text, seen }: ServiceAnswer, token: string, isKept: boolean) => {
          assert.equal(status, 200, text)
          assert.ok(seen?.includes('X-Kept'))
          const isThere = seen?.some(value => value.includes(token) || value.includes(basic('user', token)))
          assert.equal(isThere, isKept, String(seen))
        }

        await t.test(`${place}, ${from === ALLOWED ? 'allowed' : 'not allowed'}, page: ${page}`, async () => {
          const byAddress = from === ALLOWED && !isFromElsewhere
          const byToken = !(isFromElsewhere && place === 'basic') // which a browser sends by itself
          for (const token of [GIT, MANY, ADMIN, ADMIN_FILE]) {
            const answer = await ask(token)
            if (byAddress || byToken) assertPassed(answer, token, false)
            else assert.equal(answer.status, 403)
          }
          for (const token of [OTHER, CLIENT]) {
            const answer = await ask(token)
            if (byAddress) assertPassed(answer, token, false)
            else if (byToken) assert.equal(answer.text, hidden, 'as if the key were not there')
            else assert.equal(answer.status, 403)
          }
          const wrong = await ask(WRONG)
          if (byAddress) assertPassed(wrong, WRONG, true)
          else {
            assert.equal(wrong.status, from === ALLOWED ? 403 : 401)
            assert.match(wrong.text, /X-Relay-Token/)
            assert.equal(wrong.seen, undefined)
            if (from === ELSEWHERE) assert.match(wrong.text, /^WWW-Authenticate: Basic realm="treeline"/m)
          }
          // in each place besides: what is ours goes, what is not ours stays
          for (const [second, secondOf] of Object.entries(PLACES)) {
            if (second === place) continue
            if (byAddress || byToken) assertPassed(await ask(GIT, [secondOf(GIT)]), GIT, false)
            const both = await ask(GIT, [secondOf(WRONG)])
            if (byAddress || byToken) {
              assertPassed(both, GIT, false)
              assertPassed(both, WRONG, true)
            } else assert.equal(both.status, 403)
          }
        })
      }
    }
  }

  await t.test('by a host that is no name of the relay: with a token alone', async () => {
    assert.equal((await call({ host: 'relay.example' })).status, 403)
    for (const headerOf of Object.values(PLACES)) {
      assert.equal((await call({ host: 'relay.example', lines: [headerOf(GIT)] })).status, 200)
    }
  })

  await t.test('what a caller without a token is told, whatever the key', async () => {
    const asked = (path: string, lines: readonly string[] = []) => call({ from: ELSEWHERE, path, lines })
    const there = await asked('/v1/relay/git/')
    assert.equal((await asked('/v1/relay/nil/')).text, there.text)
    assert.equal((await asked('/anything')).text, there.text)
    assert.match(there.text, /show a token that may call the service in X-Relay-Token/)
    const service = await asked('/v1/relay/git/', ['Authorization: Bearer of-the-service'])
    assert.match(service.text, /the Authorization of the request is no token of this relay, and so for the service/)
    assert.equal(service.status, 401)
    const head = await call({ from: ELSEWHERE, method: 'HEAD' })
    assert.match(head.text, /\r\n\r\n$/)
  })

  await t.test('credentials of the service pass beside a token of ours', async () => {
    const lines = ['Authorization: Basic dTpw', `X-Relay-Token: ${GIT}`, 'Cookie: a=b']
    const { status, seen } = await call({ from: ELSEWHERE, lines })
    assert.equal(status, 200)
    assert.deepEqual(
      ['Authorization', 'Basic dTpw', 'Cookie', 'a=b'].filter(text => !seen?.includes(text)),
      []
    )
  })

  await t.test('a token that was removed, and one that was added, while the relay runs', async () => {
    const lines = [`X-Relay-Token: ${GIT}`]
    const before = await readFile(tokens, 'utf8')
    await writeFile(tokens, before.replace(line('call:git', GIT), ''))
    await eventually('a refusal', async () => (await call({ from: ELSEWHERE, lines })).status === 401)
    await appendFile(tokens, line('call:*', GIT))
    await eventually('an answer', async () => (await call({ from: ELSEWHERE, lines })).status === 200)
  })

  await t.test('requests under way end with the token that let them in, and others go on', async () => {
    const token = 'a-token-that-is-removed-later'
    const before = await readFile(tokens, 'utf8')
    await writeFile(tokens, before + line('call:git', token))
    const lines = [`X-Relay-Token: ${token}`]
    await eventually('an answer', async () => (await call({ from: ELSEWHERE, lines })).status === 200)
    const silent = call({ from: ELSEWHERE, path: '/v1/relay/git/held', lines })
    const begun = call({ from: ELSEWHERE, path: '/v1/relay/git/endless', lines })
    const byAddress = call({ path: '/v1/relay/git/held', lines })
    const byOther = call({ from: ELSEWHERE, path: '/v1/relay/git/held', lines: [...lines, `X-Opsmx-Token: ${MANY}`] })
    await eventually('all requests', () => held.length === 3)
    await eventually('the beginning of an answer', () => endless.length === 1)
    await writeFile(tokens, before)
    const answer = await silent
    assert.equal(answer.status, 401)
    assert.match(answer.text, /the token or certificate that let the request in was removed, or has ended, while/)
    assert.doesNotMatch((await begun).text, /\r\n0\r\n/)
    await eventually('the end at the service', () => endless[0]?.destroyed === true)
    for (const response of held.splice(0)) response.end()
    assert.deepEqual([(await byAddress).status, (await byOther).status], [200, 200])
  })

  await t.test('an administrator is one for the API, and other tokens are not', async () => {
    const status = async (token: string) => {
      const headers = { authorization: `Bearer ${token}`, 'x-forwarded-for': '192.0.2.1' } // no local caller
      return (await ask(relay, '/runs', { headers })).status
    }
    assert.deepEqual(
      [await status(ADMIN), await status(ADMIN_FILE), await status(MANY), await status(CLIENT), await status(WRONG)],
      [200, 200, 403, 403, 403]
    )
  })

  await t.test('a source that guesses has to wait, with the right token too', async () => {
    const guesser = '127.0.0.3'
    for (let times = 0; times < 600; times += 1) {
      const { status } = await call({ from: guesser, lines: [`X-Relay-Token: a-guess-of-a-token-${times}`] })
      assert.equal(status, 401)
    }
    const answer = await call({ from: guesser, lines: [`X-Relay-Token: ${MANY}`] })
    assert.equal(answer.status, 429)
    assert.match(answer.text, /^Retry-After: \d+/m)
    assert.equal((await call({ from: ELSEWHERE, lines: [`X-Relay-Token: ${MANY}`] })).status, 200)
    assert.equal((await call({ lines: [`X-Relay-Token: ${MANY}`] })).status, 200)
  })
})
