import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { test } from 'node:test'
import { type CertificateMaterial, makeAgentCertificate } from '../../demo/pki.js'
import { temporaryFolder, treeline } from '../support/machine/treeline-command.js'
import { startNamingProxy } from '../support/network/naming-proxy.js'
import { openServer } from '../support/network/open-server.js'
import { type Handler, startSmallRelay } from '../support/relays/small-relay.js'

/** A name that the proxy alone leads anywhere. */
const HOST = 'root.known-to-the-proxy.test'

const NO_VARIABLES = { HTTPS_PROXY: '', https_proxy: '', HTTP_PROXY: '', http_proxy: '', NO_PROXY: '', no_proxy: '' }

const takeRun: Handler = (_, response) => {
  const events = [
    { event: 'start' },
    { event: 'node', node: 'a', outcome: 'done', exit_code: 0 },
    { event: 'end', outcome: 'done' }
  ]
  response.writeHead(200, { 'content-type': 'application/x-ndjson', 'treeline-run-id': 'R1' })
  response.end(events.map((event, seq) => `${JSON.stringify({ seq, run: 'R1', ...event })}\n`).join(''))
}

const HANDLERS: Readonly<Record<string, Handler>> = {
  'GET nodes': () => ({ nodes: [] }),
  'GET outbox': () => ({ entries: [] }),
  'POST remote-run/nodes': takeRun
}

test('commands go through the proxy of the environment to a relay elsewhere', async t => {
  const folder = await temporaryFolder(t)
  const certificate = await makeAgentCertificate({ nodeId: 'root', hostname: HOST })
  const relay = await startSmallRelay(t, HANDLERS)
  const options = { cert: certificate.certificatePem, key: certificate.privateKeyPem }
  const port = await openServer(t, createServer(options, relay.listener))
  const ca = join(folder, 'root.pem')
  await writeFile(ca, certificate.certificatePem)
  const plainPort = new URL(relay.url).port
  const named = ['--server', `https://${HOST}:${port}`, '--ca', ca]

  await t.test('by https, also to the policy server in the folder of an agent', async t => {
    const proxy = await startNamingProxy(t)
    const env = { ...NO_VARIABLES, HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` }
    await writeAgent(folder, certificate, port)
    for (const args of [
      ['nodes', 'list', ...named],
      ['outbox', 'list', '-c', folder]
    ]) {
      assert.deepEqual(await treeline(t, args, env).then(({ code, stderr }) => ({ code, stderr })), {
        code: 0,
        stderr: ''
      })
    }
    const asked = `${HOST}:${port}`
    assert.deepEqual(
      proxy.asked.map(({ url }) => url),
      [asked, asked]
    )
  })

  await t.test('by http with HTTP_PROXY; NO_PROXY leads there without it', async t => {
    const proxy = await startNamingProxy(t)
    const env = { ...NO_VARIABLES, HTTPS_PROXY: 'http://127.0.0.1:1', HTTP_PROXY: `127.0.0.1:${proxy.port}` }
    assert.equal((await treeline(t, ['nodes', 'list', '--server', `http://${HOST}:${plainPort}`], env)).code, 0)
    const direct = ['nodes', 'list', '--server', `http://0.0.0.0:${plainPort}`] // loopback by an address that is not of it
    assert.equal((await treeline(t, direct, { ...env, NO_PROXY: '0.0.0.0/8' })).code, 0)
    assert.deepEqual(
      proxy.asked.map(({ url }) => url),
      [`${HOST}:${plainPort}`]
    )
  })

  await t.test('this machine is never asked through it', async t => {
    const env = { ...NO_VARIABLES, HTTPS_PROXY: 'http://127.0.0.1:1', HTTP_PROXY: 'no URL at all' }
    for (const host of ['127.0.0.1', 'localhost']) {
      const { code, stderr } = await treeline(t, ['nodes', 'list', '--server', `http://${host}:${plainPort}`], env)
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' }, host)
    }
  })

  await t.test('what is wrong with it is told as that, without its credentials', async t => {
    const proxy = await startNamingProxy(t, Number.POSITIVE_INFINITY)
    const at = `the relay at https://${HOST}:${port} cannot be reached`
    const refusing = `http://127.0.0.1:${proxy.port}`
    const cases: readonly (readonly [url: string, code: number, message: string])[] = [
      [
        `${refusing.replace('//', '//user:secret@')}`,
        1,
        `${at}: the proxy ${refusing} refuses to open a connection to ${HOST}:${port} (502)`
      ],
      [
        'http://user:secret@127.0.0.1:1',
        1,
        `${at}: the proxy http://127.0.0.1:1: connection refused: nothing listens there (ECONNREFUSED)`
      ],
      ['socks5://user:secret@127.0.0.1', 2, 'HTTPS_PROXY is no URL: it should be http://host:port']
    ]
    for (const [url, code, message] of cases) {
      const ended = await treeline(t, ['nodes', 'list', ...named], { ...NO_VARIABLES, HTTPS_PROXY: url })
      assert.deepEqual({ ...ended, stdout: '' }, { code, stdout: '', stderr: `treeline: ${message}\n` })
    }
  })

  await t.test('run --wait asks again when the proxy does not reach the relay', async t => {
    const proxy = await startNamingProxy(t, 1)
    const env = { ...NO_VARIABLES, HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` }
    const { code, stderr } = await treeline(t, ['run', 'a', '--wait', '1h', ...named], env)
    assert.equal(code, 0, stderr)
    assert.match(stderr, /the proxy .* \(502\) \(tried again until /)
    assert.equal(proxy.asked.length, 2)
  })
})

async function writeAgent(folder: string, { certificatePem, privateKeyPem }: CertificateMaterial, port: number) {
  await writeFile(join(folder, 'node.pem'), certificatePem)
  await writeFile(join(folder, 'node.key'), privateKeyPem, { mode: 0o600 })
  const lines = [
    'node_id = "node-1"',
    `certificate_file = "${join(folder, 'node.pem')}"`,
    `key_file = "${join(folder, 'node.key')}"`,
    '[upstream]',
    `host = "${HOST}:${port}"`,
    `server_certificate_file = "${join(folder, 'root.pem')}"`
  ]
  await writeFile(join(folder, 'agent.conf'), `${lines.join('\n')}\n`)
}
