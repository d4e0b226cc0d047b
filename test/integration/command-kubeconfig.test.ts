import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { appendFile, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { parse } from 'yaml'
import { temporaryFolder, treeline } from '../support/machine/treeline-command.js'
import { GIT_TOKEN, startRootListeners } from '../support/relays/root-listeners.js'

const run = promisify(execFile)

interface Cluster {
  readonly server: string
  readonly 'certificate-authority-data'?: string
  readonly 'tls-server-name'?: string
}

/** A root that `treeline init` made, and its sections. */
async function initRoot(t: TestContext) {
  const folder = join(await temporaryFolder(t), 'root')
  const made = await treeline(t, ['init', '--dir', folder, '--host', 'relay.test:18443', '--command', '/bin/echo'])
  assert.equal(made.code, 0, made.stderr)
  const kubeconfig = (...args: readonly string[]) => treeline(t, ['kubeconfig', ...args])
  const clusterOf = async (key: string) => {
    const { stdout, stderr } = await kubeconfig(key, '--config', folder, '--json')
    assert.equal(stderr, '')
    return (JSON.parse(stdout) as { clusters: [{ cluster: Cluster }] }).clusters[0].cluster
  }
  return { folder, kubeconfig, clusterOf, configure: (text: string) => appendFile(join(folder, 'main.conf'), text) }
}

test('the server of a kubeconfig is the listener of the configuration that leads to the service', async t => {
  const { folder, kubeconfig, clusterOf, configure } = await initRoot(t)
  const ca = await readFile(join(folder, 'ca.pem'), 'utf8')
  const none = await kubeconfig('east', '--config', folder)
  assert.deepEqual([none.code, none.stdout], [2, ''])
  assert.match(none.stderr, /no listener leads to east: add a \[\[service_listener\]\], or set services\.https_listen/)

  await configure('\n[services]\nlisten = "127.0.0.1:8080"\n')
  assert.deepEqual(await clusterOf('east'), { server: 'http://127.0.0.1:8080/v1/relay/east' })
  await configure('https_listen = "0.0.0.0:8443"\n')
  const trust = (cluster: Cluster) => Buffer.from(cluster['certificate-authority-data'] ?? '', 'base64').toString()
  const byPath = await clusterOf('east')
  assert.equal(byPath.server, 'https://127.0.0.1:8443/v1/relay/east')
  assert.equal(byPath['tls-server-name'], 'relay.test', 'the certificate does not have the address')
  assert.equal(trust(byPath).trim(), ca.trim())

  await configure(
    [
      '[[service_listener]]\nlisten = "127.0.0.1:5000"\ntls = false\nfixed = "west"',
      '[[service_listener]]\nlisten = "0.0.0.0:6443"\nfixed = "west"',
      '[[service_listener]]\nlisten = "0.0.0.0:9443"\nsuffix = "services.test"',
      '[service_listener.server_names]\n"api.test" = "East"\n'
    ].join('\n')
  )
  assert.equal((await clusterOf('west')).server, 'https://127.0.0.1:6443')
  assert.equal((await clusterOf('east')).server, 'https://east.services.test:9443')
  assert.equal((await clusterOf('East')).server, 'https://api.test:9443')
  assert.equal((await clusterOf('UP')).server, 'https://127.0.0.1:8443/v1/relay/UP', 'no name has capitals')
})

test('a kubeconfig is written for its owner alone, never over a file, and refuses what it cannot use', async t => {
  const { folder, kubeconfig } = await initRoot(t)
  const [out, token, bad] = [join(folder, 'east.yaml'), join(folder, 'token'), join(folder, 'bad')]
  await writeFile(token, `${GIT_TOKEN}\n`, { mode: 0o600 })
  await writeFile(bad, 'two words', { mode: 0o600 })
  const at = ['--listener-url', 'https://east.services.test:9443/']
  const [ca, cert, key] = ['ca.pem', 'certificate.pem', 'tls.key'].map(name => join(folder, name))
  const written = await kubeconfig('east', ...at, '--call-token-file', token, '--namespace', 'ci', '--out', out)
  assert.equal(written.code, 0, written.stderr)
  assert.match(written.stdout, new RegExp(`^written: ${out}\nuse it: {2}kubectl --kubeconfig ${out} version\n$`))
  assert.equal((await stat(out)).mode & 0o777, 0o600)
  assert.deepEqual(parse(await readFile(out, 'utf8')), {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'east', cluster: { server: 'https://east.services.test:9443' } }],
    users: [{ name: 'east', user: { token: GIT_TOKEN } }],
    contexts: [{ name: 'east', context: { cluster: 'east', user: 'east', namespace: 'ci' } }],
    'current-context': 'east'
  })
  const withCertificate = await kubeconfig('east', ...at, '--ca', ca ?? '', '--cert', cert ?? '', '--key', key ?? '')
  const { users } = parse(withCertificate.stdout) as { users: [{ user: Record<string, string> }] }
  const data = (name: string) => Buffer.from(users[0].user[name] ?? '', 'base64').toString()
  assert.equal(data('client-certificate-data'), await readFile(cert ?? '', 'utf8'))
  assert.equal(data('client-key-data'), await readFile(key ?? '', 'utf8'))
  const plain = await kubeconfig('east', '--url', 'http://relay.test:8080/v1/relay/', '--call-token-file', token)
  assert.match(plain.stdout, /server: http:\/\/relay\.test:8080\/v1\/relay\/east\n/)
  assert.match(plain.stderr, /warning: http:.* is no https/)

  for (const [args, problem] of [
    [['clients', ...at], /invalid key: "clients"/],
    [['east'], /give --listener-url or --url, .* or --config/],
    [['east', ...at, '--url', 'https://relay.test'], /--url and --listener-url: give one of them/],
    [['east', '--url', 'ftp://relay.test'], /--url "ftp:\/\/relay\.test": expected http/],
    [['east', '--url', 'https://me:secret@relay.test'], /--url: expected http.*without credentials/],
    [['east', ...at, '--cert', cert ?? ''], /--cert and --key are given both or not at all/],
    [['east', ...at, '--cert', ca ?? '', '--key', key ?? ''], /--cert .*ca\.pem/],
    [['east', ...at, '--call-token-file', bad], /--call-token-file .*bad: it holds no token/],
    [['east', '--url', 'http://relay.test', '--ca', ca ?? ''], /--ca: http:.* is no https URL/],
    [['east', ...at, '--context', 'a b'], /--context "a b": expected letters/],
    [['east', ...at, '--out', out], /--out: .*east\.yaml is there already; move it away first/]
  ] as const) {
    const refused = await kubeconfig(...args)
    assert.deepEqual([refused.code, refused.stdout], [2, ''], refused.stderr)
    assert.match(refused.stderr, problem)
    assert.doesNotMatch(refused.stderr, /secret@|two words/)
  }
})

const hasKubectl = spawnSync('kubectl', ['version', '--client']).status === 0

test('kubectl asks by a kubeconfig, at a root and below a prefix', {
  skip: hasKubectl ? false : 'kubectl is not installed'
}, async t => {
  const { relay, running, ports } = await startRootListeners(
    t,
    '[[service_listener]]\nlisten = "127.0.0.1:0"\nfixed = "git"\n'
  )
  const folder = await temporaryFolder(t)
  const token = join(folder, 'token')
  await writeFile(token, GIT_TOKEN, { mode: 0o600 })
  const get = async (name: string, path: string, ...args: readonly string[]) => {
    const out = join(folder, name)
    const written = await treeline(t, ['kubeconfig', 'git', ...args, '--call-token-file', token, '--out', out])
    assert.equal(written.code, 0, written.stderr)
    return (await run('kubectl', ['--kubeconfig', out, 'get', '--raw', path])).stdout
  }
  const root = ['--listener-url', `https://127.0.0.1:${ports[0]}`, '--ca', relay.certificateFile]
  assert.match(await get('root.yaml', '/version', ...root), /^git was asked for \/version with prefix none/)
  const ready = await running.logged(text => text.includes('services on http://'))
  const url = /services on (http:[^" ]+)/.exec(ready)?.[1] ?? ''
  const path = '/v1/relay/git/version' // with --raw, and nowhere else, kubectl leaves out the path of the server
  assert.match(
    await get('prefix.yaml', path, '--url', url),
    /^git was asked for \/version with prefix \/v1\/relay\/git/
  )
})
