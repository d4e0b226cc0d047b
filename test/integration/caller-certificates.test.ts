import assert from 'node:assert/strict'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fingerprint } from '../../src/keys/certificates/fingerprint.js'
import { certificateBlocks } from '../../src/keys/certificates/pem.js'
import { eventually } from '../support/eventually.js'
import { treeline } from '../support/machine/treeline-command.js'
import { ELSEWHERE } from '../support/relays/service-callers.js'
import { startTokenTree } from '../support/relays/token-tree.js'

const LISTENER = `
[[service_listener]]
listen = "127.0.0.1:0"
suffix = "services.example.com"
`

test('certificates of callers', async t => {
  const { root, relay, tree, call, rootPorts, token, jwt, register, endless } = await startTokenTree(t, LISTENER)
  await token('key', 'create')
  await register(await jwt('register:git'))
  const issue = async (name: string, ...scopes: readonly string[]) => {
    const file = join(tree.folder, name)
    await token('create', '--certificate', file, ...scopes.flatMap(scope => ['--scope', scope]))
    return { cert: await readFile(`${file}.pem`, 'utf8'), key: await readFile(`${file}.key`, 'utf8') }
  }
  const [git, many, other] = [
    await issue('git', 'call:git'),
    await issue('many', 'call:g*', 'call:other'),
    await issue('other', 'call:other')
  ]
  const secure = (pair: object, more: object = {}) => ({ from: ELSEWHERE, secure: { ...pair, ...more } })
  const [rootPort = 0] = rootPorts()

  await t.test('are made with a private key that nobody else can read', async () => {
    assert.equal((await stat(join(tree.folder, 'git.key'))).mode & 0o777, 0o600)
    const again = await tree.ask(
      root,
      'token',
      'create',
      '--certificate',
      join(tree.folder, 'git'),
      '--scope',
      'call:x'
    )
    assert.equal(again.code, 1)
    assert.match(again.stderr, /git\.key is there already/)
    const admin = await tree.ask(root, 'token', 'create', '--certificate', join(tree.folder, 'x'), '--scope', 'admin')
    assert.equal(admin.code, 2)
    assert.match(admin.stderr, /--scope admin: a certificate is for call:<key> alone/)
  })

  await t.test('let callers in for their keys, by the path', async () => {
    for (const pair of [git, many]) assert.equal((await call(secure(pair))).status, 200)
    const hidden = await call(secure(other))
    assert.equal(hidden.status, 502)
    assert.match(hidden.text, /no client is registered under git/)
    assert.equal((await call(secure({}))).status, 401)
    const page = await call({ ...secure(git), lines: ['Origin: https://evil.example'] })
    assert.equal(page.status, 403, 'a browser shows a certificate by itself')
  })

  await t.test('decide the service at a listener whose paths are unchanged', async () => {
    const at = { port: rootPort, path: '/' }
    assert.equal((await call({ ...secure(git), ...at })).status, 200)
    const both = secure(git, { servername: 'git.services.example.com' })
    assert.equal((await call({ ...both, ...at, host: 'git.services.example.com' })).status, 200)
    const differ = await call({ ...secure(git, { servername: 'web.services.example.com' }), ...at })
    assert.equal(differ.status, 421)
    assert.match(differ.text, /the certificate names the service git, and the server name of TLS names web/)
    const chosen = secure(many, { servername: 'git.services.example.com' })
    assert.equal((await call({ ...chosen, ...at })).status, 200)
    assert.equal((await call({ ...secure(many), ...at })).status, 421, 'it names several')
  })

  await t.test('of another purpose are refused, and those of another CA are none', async () => {
    const pairOf = async (folder: string) => ({
      cert: await readFile(join(folder, 'certificate.pem'), 'utf8'),
      key: await readFile(join(folder, 'tls.key'), 'utf8')
    })
    const refused = await call({ secure: await pairOf(relay.folder) })
    assert.equal(refused.status, 403)
    assert.match(refused.text, /its purpose is relay, and not service/)
    const elsewhere = join(tree.folder, 'another-tree')
    const made = await treeline(t, ['init', '--dir', elsewhere, '--host', 'other.example', '--command', '/bin/echo'])
    assert.equal(made.code, 0, made.stderr)
    const strange = await call({ secure: await pairOf(elsewhere) })
    assert.equal(strange.status, 200, 'as without one, from an allowed network')
    assert.equal((await call(secure(await pairOf(elsewhere)))).status, 401)
  })

  await t.test('are not taken by the API', async () => {
    const port = relay.port
    const answer = await call({ ...secure(git), port, path: '/rudder/relay-api/runs', host: relay.host })
    assert.equal(answer.status, 403)
  })

  await t.test('end with their revocation, and so do their streams', async () => {
    const begun = call({ ...secure(git), path: '/v1/relay/git/endless' })
    await eventually('an answer', () => endless.length === 1)
    const [pem = ''] = certificateBlocks(git.cert)
    await token('revoke', fingerprint(Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64')))
    assert.doesNotMatch((await begun).text, /\r\n0\r\n/)
    const answer = await call(secure(git))
    assert.equal(answer.status, 403)
    assert.match(answer.text, /it was revoked/)
    assert.equal((await call(secure(many))).status, 200)
  })
})
