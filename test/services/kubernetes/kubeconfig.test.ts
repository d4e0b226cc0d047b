import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { KubeconfigError, readKubeconfig } from '../../../src/services/kubernetes/kubeconfig.js'

const base64 = (text: string) => Buffer.from(text).toString('base64')

/** A kubeconfig as kubectl writes it. @param cluster and user in YAML, indented by four blanks */
function kubeconfig({
  cluster = '    server: https://10.0.0.1:6443',
  user = '    token: secret',
  more = ''
} = {}): string {
  return `apiVersion: v1
kind: Config
preferences: {}
current-context: east
clusters:
- name: east-cluster
  cluster:
${cluster}
contexts:
- name: east
  context: { cluster: east-cluster, user: admin, namespace: default }
users:
- name: admin
  user:
${user}
${more}`
}

const read = (text: string, context?: string) => readKubeconfig(text, context, '/etc/kube')

test('the current context leads to its cluster and user', () => {
  const { server, token, isInsecure, ...rest } = read(kubeconfig())
  assert.equal(server.href, 'https://10.0.0.1:6443/')
  assert.deepEqual(token, { text: 'secret' })
  assert.equal(isInsecure, false)
  assert.deepEqual(rest, {
    ca: undefined,
    serverName: undefined,
    certificate: undefined,
    key: undefined,
    basic: undefined
  })
})

test('a context is chosen by its name', () => {
  const more = `- name: other
  user: { username: anna, password: "p:w" }`
  const text = kubeconfig({ more }).replace(
    'users:',
    '- { name: west, context: { cluster: east-cluster, user: other } }\nusers:'
  )
  assert.deepEqual(read(text, 'west').basic, { user: 'anna', password: 'p:w' })
  assert.throws(() => read(text, 'north'), /the context north is not there/)
})

test('data wins over files, and the paths of files are relative to the kubeconfig', () => {
  const data = read(
    kubeconfig({
      cluster: `    server: https://a\n    certificate-authority: ca.pem\n    certificate-authority-data: ${base64('CA')}\n    tls-server-name: api.example.com`,
      user: `    client-certificate-data: ${base64('CERT')}\n    client-certificate: x\n    client-key-data: ${base64('KEY')}`
    })
  )
  assert.deepEqual([data.ca, data.certificate, data.key], [{ text: 'CA' }, { text: 'CERT' }, { text: 'KEY' }])
  assert.equal(data.serverName, 'api.example.com')
  const files = read(
    kubeconfig({
      cluster: '    server: https://a\n    certificate-authority: pki/ca.pem',
      user: '    client-certificate: ../cert.pem\n    client-key: /keys/key.pem\n    tokenFile: token\n    token: old'
    })
  )
  assert.deepEqual(
    [files.ca, files.certificate, files.key, files.token],
    [
      { path: '/etc/kube/pki/ca.pem' },
      { path: '/etc/cert.pem' },
      { path: '/keys/key.pem' },
      { path: '/etc/kube/token' }
    ]
  )
})

for (const [what, parts, message] of [
  ['a program (exec)', { user: '    exec: { command: aws, apiVersion: v1 }' }, /the user admin .* kind exec/],
  ['an auth-provider', { user: '    auth-provider: { name: gcp }' }, /the user admin .* kind auth-provider/],
  ['another user to act as', { user: '    token: a\n    as: root' }, /the user admin acts as another user \(as\)/],
  ['groups to act for', { user: '    token: a\n    as-groups: [system:masters]' }, /as-groups/],
  ['a token and a password', { user: '    token: a\n    username: b\n    password: c' }, /both a token and/],
  ['a password alone', { user: '    password: c' }, /a password and no username/],
  ['a colon in the username', { user: '    username: "b:c"' }, /colon/],
  ['a certificate without its key', { user: `    client-certificate: a` }, /a client-certificate and no client-key/],
  ['a key without its certificate', { user: `    client-key: a` }, /a client-key and no client-certificate/],
  ['a key that is no base64', { user: '    client-key-data: "a*b"' }, /client-key-data of the user admin is no base64/],
  ['a number as the token', { user: '    token: 12345' }, /token of the user admin is no text/],
  ['no server', { cluster: '    server: ""' }, /server of the cluster east-cluster is no URL/],
  ['a server without a scheme', { cluster: '    server: 10.0.0.1:6443' }, /no URL/],
  ['a password in the server', { cluster: '    server: https://a:b@c' }, /without a user/],
  ['a proxy', { cluster: '    server: https://a\n    proxy-url: http://b' }, /proxy-url/],
  [
    'an issuer for a certificate that is not verified',
    { cluster: '    server: https://a\n    certificate-authority: a\n    insecure-skip-tls-verify: true' },
    /keep one/
  ],
  [
    'a text in place of true',
    { cluster: '    server: https://a\n    insecure-skip-tls-verify: "yes"' },
    /neither true nor false/
  ],
  ['a user that is there twice', { more: '- name: admin\n  user: { token: b }' }, /the user admin is there twice/]
] as const) {
  test(`a kubeconfig with ${what} is an error that says so`, () => {
    assert.throws(
      () => read(kubeconfig(parts)),
      (error: unknown) => {
        assert.ok(error instanceof KubeconfigError)
        assert.match(error.message, message)
        return true
      }
    )
  })
}

test('what is missing is named', () => {
  assert.throws(() => read('{}'), /no current-context/)
  assert.throws(() => read('current-context: a'), /the context a is not there/)
  assert.throws(() => read('current-context: a\ncontexts: [{name: a, context: {}}]'), /the context a names no cluster/)
  assert.throws(() => read('- a'), /no map/)
})

test('messages have no secret, whatever is wrong with the file', () => {
  for (const text of [
    'token: "hunter2',
    'a: [hunter2',
    'users: &a [*b, hunter2]',
    kubeconfig({ user: '    password: hunter2' })
  ]) {
    assert.throws(
      () => read(text),
      (error: unknown) => error instanceof KubeconfigError && !error.message.includes('hunter2')
    )
  }
})

test('whatever a file has, only the declared error is thrown', () => {
  const leaf = fc.oneof(fc.string(), fc.boolean(), fc.integer(), fc.constant(null), fc.constant([]), fc.constant({}))
  const table = (keys: readonly string[]) => fc.dictionary(fc.constantFrom(...keys), leaf)
  const cluster = table([
    'server',
    'certificate-authority',
    'certificate-authority-data',
    'insecure-skip-tls-verify',
    'tls-server-name'
  ])
  const user = table([
    'token',
    'tokenFile',
    'client-key',
    'client-key-data',
    'client-certificate-data',
    'username',
    'exec',
    'as'
  ])
  const list = (kind: string, value: fc.Arbitrary<unknown>) =>
    fc.oneof(leaf, fc.array(fc.oneof(leaf, fc.record({ name: fc.constantFrom('a', 'b'), [kind]: value }))))
  const context = fc.record({ cluster: fc.constantFrom('a', 'b'), user: fc.constantFrom('a', 'b') })
  const file = fc.record({
    'current-context': fc.constant('a'),
    clusters: list('cluster', cluster),
    contexts: list('context', context),
    users: list('user', user)
  })
  fc.assert(
    fc.property(fc.oneof(file, leaf), value => {
      try {
        read(JSON.stringify(value))
      } catch (error) {
        assert.ok(error instanceof KubeconfigError, String(error))
      }
    })
  )
})
