import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { type IncomingMessage, request as plainRequest } from 'node:http'
import { Agent, request as tlsRequest } from 'node:https'
import { join } from 'node:path'
import { test } from 'node:test'
import { treeline } from '../support/machine/treeline-command.js'
import { ask } from '../support/network/http.js'
import { CALLS, type Call, type Group, LOCAL, startCallerTree, TOKEN } from '../support/relays/caller-tree.js'
import { exists } from '../support/relays/joined-tree.js'
import { editConfig } from '../support/relays/tree-files.js'
import { signContent } from '../support/work/signed-files.js'

/** The groups that a caller behind a proxy may call. */
const PROXIED: Group[] = ['open', 'write', 'run']

test('who may call what', async t => {
  const { tree, relay, member, unknown, assertMay, reload } = await startCallerTree(t)

  await t.test('every route has its row', async () => {
    const { paths } = JSON.parse((await ask(relay, '/openapi.json')).text) as { paths: Record<string, object> }
    const calls = Object.values(CALLS).flat() as readonly Call[]
    for (const [path, methods] of Object.entries(paths)) {
      const pattern = path.replace('/rudder/relay-api', '').replaceAll(/\{[^}]+\}/g, '[^/]+')
      const called = new RegExp(`^${pattern}(\\?|$)`)
      for (const method of Object.keys(methods)) {
        const isCalled = calls.some(call => call[0] === method.toUpperCase() && called.test(call[1]))
        assert.ok(isCalled, `${method} ${path} is not in the table`)
      }
    }
  })

  await t.test('local callers: everything but what the policy server alone may', async () => {
    await assertMay(LOCAL, {})
    await assertMay(LOCAL, { headers: { origin: relay.localUrl } })
  })

  await t.test('through a proxy: files and runs', async () => {
    const marks = {
      'x-forwarded-for': '127.0.0.1',
      forwarded: 'for=127.0.0.1',
      via: '1.1 x',
      'x-real-ip': '127.0.0.1',
      'x-forwarded-proto': 'https',
      'X-Envoy-External-Address': '127.0.0.1'
    }
    for (const [name, value] of Object.entries(marks)) {
      await assertMay(PROXIED, { headers: { [name]: value } }, /general\.trusted_proxies/)
    }
    const others = [
      'X-Client-IP',
      'CF-Connecting-IP',
      'True-Client-IP',
      'X-Forwarded-Ssl',
      'X-Original-Forwarded-For',
      'CDN-Loop',
      'Client-IP'
    ]
    for (const name of others) {
      const { text } = await ask(relay, '/runs', { headers: { [name]: '' } })
      assert.match(text, /a caller behind a proxy at 127\.0\.0\.1: .*general\.trusted_proxies/, name)
    }
  })

  await t.test(
    'over TLS without a certificate, whatever it says: an address, though it is one of loopback',
    async () => {
      await assertMay(['write', 'open'], { as: null })
      await assertMay(['write', 'open'], { as: null, headers: { 'x-forwarded-for': '127.0.0.1' } })
      await assertMay(['write', 'open'], { as: null, headers: { via: '1.1 x' } })
    }
  )

  await t.test('by certificate: a node, a relay below, the policy server, and one that nobody knows', async () => {
    const nodes: Group[] = ['write', 'open', 'folder', 'read']
    await assertMay([...nodes, 'tree', 'trace', 'outbox'], { as: member })
    for (const other of ['relay-a', 'node-s1', 'node-r1', 'stranger']) {
      const { status, text } = await ask(relay, `/trace/${other}`, { as: member })
      assert.equal(status, 403, `${other}: ${text}`)
      assert.match(text, /to that node itself at its own policy server/)
    }
    // the root knows the certificate of node-a1, and would tell what waits for relay-a
    assert.equal((await ask(tree.relay('root'), '/trace/node-a1', { as: member })).status, 403)
    await assertMay(['write', 'open', 'folder', 'trace', 'tree', 'revocations'], { as: tree.member('sub') })
    await assertMay([...nodes, 'run', 'runs', 'trace', 'policyServer', 'revocations'], { as: tree.member('root') })
    await assertMay(['write', 'open'], { as: unknown })
    const refused = await ask(relay, '/remote-run/all', { method: 'POST', as: unknown })
    assert.match(refused.text, /remote_run\.allowed_networks/)
    const folder = await ask(relay, '/shared-folder/none', { as: unknown })
    assert.match(folder.text, /shared_folder\.allowed_networks/)
    assert.match((await ask(relay, '/metrics', { as: unknown })).text, /metrics\.allowed_networks/)
  })

  await t.test(
    'with the token: all but the system; a wrong one is none; a better identity stays what it is',
    async () => {
      const admin: Group[] = [
        'write',
        'open',
        'run',
        'folder',
        'runs',
        'trace',
        'tree',
        'outbox',
        'administration',
        'observation'
      ]
      const headers = { authorization: `Bearer ${TOKEN}` }
      await assertMay(admin, { as: unknown, headers })
      await assertMay(['write', 'open'], { as: unknown, headers: { authorization: `Bearer ${TOKEN}x` } })
      await assertMay(LOCAL, { headers })
      await assertMay(PROXIED, { headers: { via: '1.1 x', authorization: `Bearer ${TOKEN}x` } })
      await assertMay(admin, { headers: { ...headers, via: '1.1 x' } })
      const more = [...admin, 'read'] as const
      await assertMay(more, { as: member, headers })
      await assertMay([...more, 'policyServer', 'revocations'], { as: tree.member('root'), headers })
      await assertMay([...admin, 'revocations'], { as: tree.member('sub'), headers })
      const below = { method: 'GET', as: tree.member('sub'), headers }
      assert.equal((await ask(relay, '/shared-files/sub/node-a1/f', below)).status, 404)
      const off = await ask(tree.relay('root'), '/runs', { as: unknown, headers: { authorization: 'Bearer ' } })
      assert.equal(off.status, 403)
    }
  )

  await t.test('by address, put in force by a reload', async () => {
    const from = (address: string) => ({ headers: { 'x-forwarded-for': address } })
    await reload(text =>
      text
        .replace('[general]', '[general]\ntrusted_proxies = ["127.0.0.0/8"]')
        .replace('[remote_run]', '[remote_run]\nallowed_networks = ["192.0.2.0/24"]')
        .replace('[shared_files]', '[shared_files]\nallowed_networks = ["198.51.100.0/24", "2001:db8::/32"]')
        .concat('[metrics]\nallowed_networks = ["203.0.113.9"]\n')
    )
    await assertMay(['open', 'run'], from('192.0.2.7'))
    await assertMay(['open', 'run'], from('::ffff:192.0.2.7'))
    await assertMay(['open', 'write'], from('192.0.2.7, 198.51.100.1'))
    await assertMay(['open', 'write'], from('2001:db8::7'))
    await assertMay(['open', 'observation'], from('203.0.113.9, 127.0.0.1'))
    await assertMay(['open', 'run'], from('192.0.2.1'))
    for (const client of [
      '192.0.2.7:4000',
      '[::ffff:192.0.2.7]:4000',
      '203.0.113.9:1, 192.0.2.7, 127.0.0.1:2, [::ffff:7f00:1]'
    ]) {
      await assertMay(['open', 'run'], from(client), /an unknown caller at 192\.0\.2\.7: .*[a-z_]+\.[a-z_]+/)
    }
    for (const client of ['[2001:db8::7]:4000', '[2001:DB8:0::7]', '2001:db8::7, 127.0.0.1:1']) {
      await assertMay(['open', 'write'], from(client), /an unknown caller at 2001:db8::7: .*[a-z_]+\.[a-z_]+/)
    }
    await assertMay([...PROXIED, 'folder'], from('127.0.0.1')) // the agent of this machine
    await assertMay([...PROXIED, 'folder'], from('127.0.0.1:4000'))
    const unnamed = [
      'unknown',
      '_hidden',
      '192.0.2.7:',
      '192.0.2.7:x',
      '192.0.2.07',
      '[192.0.2.7]',
      '2001:db8::7]',
      ',',
      '192.0.2.7,',
      'a, 127.0.0.1'
    ]
    for (const client of unnamed) {
      const answer = await ask(relay, '/shared-folder/none', from(client))
      assert.match(answer.text, /not allowed for an unknown caller at 127\.0\.0\.1: /, client)
    }
    await assertMay(['open'], from('unknown')) // neither as one of that address, nor as one that a proxy lets in
    await assertMay(PROXIED, { headers: { via: '1.1 x' } }) // nobody is named
    await assertMay(['open', 'run'], { as: null, ...from('192.0.2.7') })
    await assertMay(['open', 'folder'], { as: null, ...from('127.0.0.1') })
    await assertMay(['open'], { as: null, headers: { via: '1.1 x' } })
    assert.match(
      (await ask(relay, CALLS.write[1][1], { method: 'PUT', ...from('192.0.2.1') })).text,
      /shared_files\.allowed_networks/
    )
    await assertMay(['write', 'open', 'folder', 'read', 'tree', 'trace', 'outbox'], { as: member })
  })

  await t.test('a certificate that a reload removes is not known on an open connection either', async () => {
    const file = signContent('node-a1', member, 'f', 'content')
    assert.equal((await ask(relay, `${file.path}?ttl=60`, { method: 'PUT', body: file.body, as: member })).status, 200)
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    t.after(() => agent.destroy())
    const { certificatePem: cert, privateKeyPem: key } = member.certificate
    const sockets = new Set<unknown>()
    const get = async () => {
      const request = tlsRequest(relay.url + file.path, { agent, cert, key, rejectUnauthorized: false })
      request.end()
      const [response] = await once(request, 'response')
      sockets.add(response.socket)
      response.resume()
      await once(response, 'end')
      return response.statusCode
    }
    assert.equal(await get(), 200)
    const certificates = join(relay.directory, 'allnodescerts.pem')
    const pem = await readFile(certificates, 'utf8')
    await writeFile(certificates, pem.replace(cert, ''))
    await reload(text => text)
    assert.equal(await get(), 403)
    await writeFile(certificates, pem)
    await reload(text => text)
    assert.equal(await get(), 200)
    assert.equal(sockets.size, 1)
  })

  await t.test('at the socket: local; at a listener behind a proxy: nobody is', async () => {
    const socket = join(relay.directory, 'relay.sock')
    await editConfig(relay, text => text.replace('[general]', `[general]\nbehind_proxy = true\nsocket = "${socket}"`))
    await tree.processes.get('relay-a')?.stop()
    await tree.restart('relay-a')
    assert.equal((await stat(socket)).mode & 0o777, 0o660)
    await assertMay(PROXIED, {}, /general\.trusted_proxies/)
    assert.equal((await askSocket(socket, '/rudder/relay-api/1/runs')).status, 200)
    assert.equal((await askSocket(socket, '/rudder/relay-api/1/runs', { origin: 'null' })).status, 403)
    assert.equal(
      (await askSocket(socket, '/rudder/relay-api/1/runs', { via: '1.1 x' })).status,
      403,
      'a proxy in front'
    )
    const nodes = await treeline(t, ['nodes', 'list', '--config', relay.directory])
    assert.equal(nodes.code, 0, nodes.stderr)
    const process = tree.processes.get('relay-a')
    process?.signal('SIGKILL') // which leaves the socket
    await process?.ended
    await tree.restart('relay-a')
    assert.equal((await askSocket(socket, '/uuid')).status, 200)
    await tree.processes.get('relay-a')?.stop()
    assert.equal(await exists(socket), false)
    await writeFile(socket, 'a file of someone')
    const refused = await treeline(t, ['serve', '--config', relay.directory])
    assert.match(refused.stderr, /general\.socket: .* is there already, and is no socket/)
    assert.equal(await readFile(socket, 'utf8'), 'a file of someone')
  })
})

async function askSocket(socketPath: string, path: string, headers: Record<string, string> = {}) {
  const request = plainRequest({ socketPath, path, headers: { host: 'localhost', ...headers } })
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.resume()
  return { status: response.statusCode }
}
