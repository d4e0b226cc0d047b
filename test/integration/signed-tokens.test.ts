import assert from 'node:assert/strict'
import { readdir, stat } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { treeline } from '../support/machine/treeline-command.js'
import { type Machine, succeed } from '../support/relays/joined-tree.js'
import { ELSEWHERE } from '../support/relays/service-callers.js'
import { idOf, startTokenTree } from '../support/relays/token-tree.js'

const PLACES: Readonly<Record<string, (token: string) => string>> = {
  bearer: token => `Authorization: Bearer ${token}`,
  basic: token => `authorization: Basic ${Buffer.from(`user:${token}`).toString('base64')}`,
  'x-relay-token': token => `X-Relay-Token: ${token}`,
  'x-opsmx-token': token => `x-opsmx-token: ${token}`
}

/** Asks the API of a machine as somebody behind a proxy, who is no local caller. */
function statusAt({ local }: Machine, path: string, token: string, method = 'GET'): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, 'x-forwarded-for': '192.0.2.1', connection: 'close' }
    request(`http://${local}${path}`, { method, headers }, response => {
      resolve(response.resume().statusCode ?? 0)
    })
      .on('error', reject)
      .end()
  })
}

test('tokens that the root signs', async t => {
  const { root, relay, call, token, jwt, register } = await startTokenTree(t)
  const key = await token('key', 'create')
  const folder = join(root.folder, 'data', 'token-keys')
  const git = await jwt('call:git', '--ttl', '2h')
  const client = await jwt('register:git')
  await register(client)
  const shown = (credential: string) => ({ from: ELSEWHERE, lines: [`X-Relay-Token: ${credential}`] })

  await t.test('the private key is the root’s alone', async () => {
    assert.deepEqual(await readdir(folder), [`${key}.jwk`])
    assert.equal((await stat(join(folder, `${key}.jwk`))).mode & 0o777, 0o600)
    assert.equal((await stat(folder)).mode & 0o777, 0o700)
  })

  await t.test('let callers in by every place, and reach no service', async () => {
    for (const [place, lineOf] of Object.entries(PLACES)) {
      for (const from of [ELSEWHERE, undefined]) {
        const { status, text, seen } = await call({ lines: [lineOf(git), 'X-Kept: yes'], ...(from ? { from } : {}) })
        assert.equal(status, 200, `${place}: ${text}`)
        assert.ok(seen?.includes('X-Kept'))
        assert.ok(!seen?.join().includes(git.slice(-40)) && !seen?.some(value => /^(Basic|Bearer)/.test(value)))
      }
    }
  })

  await t.test('are not those of others, which pass to the service where the address suffices', async () => {
    const [head, payload] = git.split('.')
    const forged = `${head}.${payload}.${Buffer.alloc(64, 1).toString('base64url')}`
    const foreign = `${Buffer.from('{"alg":"RS256","kid":"theirs"}').toString('base64url')}.${payload}.AAAA`
    for (const other of [forged, foreign]) {
      const lines = [`Authorization: Bearer ${other}`]
      const passed = await call({ lines })
      assert.equal(passed.status, 200)
      assert.ok(passed.seen?.includes(`Bearer ${other}`))
      const refused = await call({ lines, from: ELSEWHERE })
      assert.equal(refused.status, 401)
      assert.match(refused.text, /the Authorization of the request is no token of this relay.*X-Relay-Token/)
    }
  })

  await t.test('hold for their scope alone', async () => {
    const other = await call(shown(await jwt('call:other')))
    assert.equal(other.status, 502)
    assert.match(other.text, /no client is registered under git/)
    assert.equal((await call(shown(client))).status, 502)
  })

  await t.test('of an administrator are taken by the API, and make no further ones', async () => {
    const admin = await jwt('admin')
    assert.equal(await statusAt(relay, '/rudder/relay-api/runs', admin), 200)
    assert.equal(await statusAt(relay, '/rudder/relay-api/runs', git), 403)
    assert.equal(await statusAt(root, '/rudder/relay-api/v1/token-keys', admin), 200)
    assert.equal(await statusAt(root, '/rudder/relay-api/v1/token-keys', admin, 'POST'), 403)
    assert.equal(await statusAt(root, '/rudder/relay-api/v1/signed-tokens', admin, 'POST'), 403)
    assert.equal((await call(shown(admin))).status, 200)
    await token('revoke', admin)
    await eventually('the refusal', async () => (await statusAt(relay, '/rudder/relay-api/runs', admin)) === 403)
  })

  await t.test('may be signed on another machine, with a copy of the private key', async () => {
    const args = ['token', 'create', '--jwt', '--scope', 'call:g*', '--sign-with', join(folder, `${key}.jwk`)]
    const { stdout, stderr } = await succeed(treeline(t, args))
    assert.equal((await call(shown(stdout.trim()))).status, 200, stderr)
  })

  await t.test('of a second key hold beside those of the first, and are signed by the newest', async () => {
    const second = await token('key', 'create', '--algorithm', 'ES256')
    const signed = await jwt('call:git')
    assert.match(Buffer.from(signed.split('.')[0] ?? '', 'base64url').toString(), new RegExp(second))
    await eventually('the new key', async () => (await call(shown(signed))).status === 200)
    assert.equal((await call(shown(git))).status, 200)
    await token('key', 'retire', second)
    await eventually('the refusal', async () => (await call(shown(signed))).status === 401)
    assert.equal((await call(shown(git))).status, 200)
  })
})

test('a signed token ends with its revocation, also at relays that are cut off from the root', async t => {
  const { tree, root, process, serve, call, token, jwt, register, endless } = await startTokenTree(t)
  await token('key', 'create')
  const git = await jwt('call:git', '--ttl', '2h')
  const revoked = await jwt('call:git')
  await register(await jwt('register:git'))
  const shown = (credential: string) => ({ from: ELSEWHERE, lines: [`X-Relay-Token: ${credential}`] })
  const stream = (credential: string) => call({ ...shown(credential), path: '/v1/relay/git/endless' })
  await eventually('an answer', async () => (await call(shown(revoked))).status === 200)

  await t.test('its streams end, and it lets nobody in', async () => {
    const [begun, stays] = [stream(revoked), stream(git)]
    await eventually('both answers', () => endless.length === 2)
    await token('revoke', idOf(revoked))
    assert.doesNotMatch((await begun).text, /\r\n0\r\n/)
    const answer = await call(shown(revoked))
    assert.equal(answer.status, 401)
    assert.match(answer.text, /the token in the request does not count: it was revoked/)
    const inside = await call({ lines: [`Authorization: Bearer ${revoked}`] })
    assert.equal(inside.status, 200, 'the address suffices')
    assert.ok(!inside.seen?.join().includes(revoked), 'it stays the relay’s own')
    for (const response of endless.splice(0)) response.end()
    assert.match((await stays).text, /\r\n0\r\n/)
  })

  await t.test('a relay that starts while it is cut off takes none until it has heard from the root', async () => {
    await process.stop()
    await tree.rootProcess.stop()
    await serve()
    const refused = await call(shown(git))
    assert.equal(refused.status, 401)
    assert.match(refused.text, /has not reached the root for longer than services\.offline_grace/)
    const again = await tree.serve(root)
    await eventually('the root again', async () => (await call(shown(git))).status === 200)
    assert.match((await call(shown(revoked))).text, /it was revoked/)
    await again.stop()
    assert.equal((await call(shown(git))).status, 200, 'within the grace')
    assert.doesNotMatch((await stream(git)).text, /\r\n0\r\n/, 'ended with the grace')
    assert.match((await call(shown(git))).text, /has not reached the root/)
  })
})
