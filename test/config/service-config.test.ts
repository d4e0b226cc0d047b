import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { AgentConfig } from '../../src/config/agent/agent-config.js'
import { parseAgentConfig } from '../../src/config/agent/agent-parser.js'
import { ConfigError } from '../../src/config/config.js'
import { parseConfig } from '../../src/config/config-parser.js'
import { privateFilesOfAgent } from '../../src/config/private-files.js'
import { filesOfServices } from '../../src/config/services/service-files.js'

const AGENT = `node_id = "node-1"
certificate_file = "own.cert"
key_file = "/keys/own.key"
[upstream]
host = "relay.example.com"
`

const parse = (text: string) => parseAgentConfig(AGENT + text, '', '/etc/agent')

function problemsOf(text: string): string {
  try {
    parse(text)
    return ''
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.join('\n')
    throw error
  }
}

const SERVICE = '[[service]]\nkey = "builds"\nurl = "https://jenkins.internal/ci/"\n'
const CREDENTIALS = `${SERVICE}[service.credentials]\n`

test('agents and relays read the same sections, with the same defaults', () => {
  const expected = [
    {
      key: 'builds',
      type: 'http',
      url: 'https://jenkins.internal/ci/',
      protocol: 'http/1.1',
      annotations: {},
      keepsHost: false,
      responseTimeoutMs: undefined,
      caFile: undefined,
      isInsecure: false,
      cluster: undefined,
      aws: undefined,
      isOpsmx: false,
      credentials: undefined
    }
  ]
  assert.deepEqual(parse(SERVICE).ownServices, expected)
  const relay = parseConfig(`${SERVICE}[general]\nnode_id = "root"\n`, '', '/etc/relay', () => '')
  assert.deepEqual(relay.ownServices, expected)
})

test('a service with all settings', () => {
  const [service] = parse(`
[[service]]
key = "x"
type = "x-wiki"
url = "https://wiki.internal:8443"
protocol = "h2"
host = "keep"
response_timeout = "30s"
ca_file = "ca.pem"
annotations = { description = "the wiki", uiUrl = "" }
[service.credentials]
type = "client_certificate"
file = "wiki.pem"
key_file = "/keys/wiki.key"
`).ownServices
  assert.deepEqual(service, {
    key: 'x',
    type: 'x-wiki',
    url: 'https://wiki.internal:8443',
    protocol: 'h2',
    annotations: { description: 'the wiki', uiUrl: '' },
    keepsHost: true,
    responseTimeoutMs: 30_000,
    caFile: '/etc/agent/ca.pem',
    isInsecure: false,
    cluster: undefined,
    aws: undefined,
    isOpsmx: false,
    credentials: {
      type: 'client_certificate',
      place: { kind: 'file', path: '/etc/agent/wiki.pem' },
      keyPlace: { kind: 'file', path: '/keys/wiki.key' }
    }
  })
})

for (const [what, text, problem] of [
  ['a key twice', SERVICE + SERVICE, /service\[1\]\.key: there is a service builds before/],
  ['the key of another path', SERVICE.replace('builds', 'clients'), /service\[0\]\.key: expected 1 to 128 letters/],
  ['a key that is none', SERVICE.replace('builds', 'a/b'), /key: expected/],
  ['no key', '[[service]]\nurl = "http://a"', /service\[0\]\.key: missing/],
  ['no url', '[[service]]\nkey = "a"', /service\[0\]\.url: missing/],
  ['another scheme', SERVICE.replace('https:', 'ftp:'), /url: expected http:\/\/ or https:\/\//],
  ['an unknown type', `${SERVICE}type = "gitlab"`, /type: expected http, argocd/],
  ['a protocol that its url has not', `${SERVICE}protocol = "h2c"`, /protocol: h2c is HTTP\/2 without TLS/],
  ['another host than keep', `${SERVICE}host = "other"`, /host: expected keep/],
  ['an annotation that is no text', `${SERVICE}annotations = { floor = 12 }`, /annotations: expected at most 32/],
  ['a control character in an annotation', `${SERVICE}annotations = { a = "b\\nc" }`, /annotations: expected/],
  ['ca_file without TLS', `${SERVICE.replace('https', 'http')}ca_file = "a"`, /ca_file: is for https/],
  ['both ca_file and insecure', `${SERVICE}ca_file = "a"\ninsecure = true`, /insecure: believes any/],
  ['credentials that are no section', `${SERVICE}credentials = "a"`, /credentials: expected a section/],
  ['no type of credentials', `${CREDENTIALS}file = "a"`, /credentials\.type: missing/],
  ['an unknown type of credentials', `${CREDENTIALS}type = "ntlm"\nfile = "a"`, /credentials\.type: expected bearer/],
  ['no place of credentials', `${CREDENTIALS}type = "basic"`, /\.file: missing.*username and password/],
  ['two places', `${CREDENTIALS}type = "basic"\nfile = "a"\nenv = "B"`, /\.env: give this or file/],
  ['a variable that is none', `${CREDENTIALS}type = "basic"\nenv = "A=B"`, /\.env: expected the name of/],
  ['a header without its name', `${CREDENTIALS}type = "header"\nfile = "a"`, /\.header: missing/],
  ['a header for bearer', `${CREDENTIALS}type = "bearer"\nfile = "a"\nheader = "X"`, /\.header: is for type/],
  [
    'a header that frames',
    `${CREDENTIALS}type = "header"\nfile = "a"\nheader = "content-length"`,
    /\.header: expected/
  ],
  ['a header of ours', `${CREDENTIALS}type = "header"\nfile = "a"\nheader = "Treeline_x"`, /\.header: expected/],
  ['a key for bearer', `${CREDENTIALS}type = "bearer"\nfile = "a"\nkey_file = "b"`, /key_file: is for type/],
  [
    'a key elsewhere',
    `${CREDENTIALS}type = "client_certificate"\nsecret = "a"\nkey_file = "b"`,
    /key_file: goes together with file/
  ],
  [
    'a client certificate without TLS',
    `${CREDENTIALS.replace('https', 'http')}type = "client_certificate"\nfile = "a"`,
    /credentials: is for https/
  ],
  [
    'basic for argocd',
    `${SERVICE}type = "argocd"\n[service.credentials]\ntype = "basic"\nfile = "a"`,
    /argocd takes bearer alone, not basic/
  ]
] as const) {
  test(`a service with ${what} is an error of the configuration`, () => {
    assert.match(problemsOf(text), problem)
  })
}

test('a password in a url is no part of the message', () => {
  const problems = problemsOf(SERVICE.replace('jenkins.internal', 'robot:secret@jenkins.internal'))
  assert.match(problems, /url: expected .* without a user/)
  assert.ok(!problems.includes('secret'), problems)
})

test('insecure is told', () => {
  assert.match(parse(`${SERVICE}insecure = true`).notices[0]?.text ?? '', /insecure: whoever answers/)
})

test('the files of services are private, but certificates and issuers', () => {
  const { ownServices } = parse(`${CREDENTIALS}type = "client_certificate"\nsecret = "tls"
[[service]]\nkey = "b"\nurl = "https://b"\nca_file = "ca"\n[service.credentials]\ntype = "basic"\nsecret = "/run/b"
[[service]]\nkey = "c"\nurl = "https://c"\n[service.credentials]\ntype = "client_certificate"\nfile = "pair"
[[service]]\nkey = "d"\nurl = "https://d"\n[service.credentials]\ntype = "bearer"\nenv = "D"`)
  const files = filesOfServices(ownServices)
  assert.deepEqual(
    files.map(({ path, isReadable }) => [path, isReadable]),
    [
      ['/etc/agent/tls/tls.crt', true],
      ['/etc/agent/tls/tls.key', false],
      ['/etc/agent/ca', true],
      ['/run/b/username', false],
      ['/run/b/password', false],
      ['/etc/agent/pair', false]
    ]
  )
  assert.equal(files[1]?.key, 'service builds: credentials.secret')
  const listed = privateFilesOfAgent({ ...parse(''), ownServices } as AgentConfig)
  for (const { path } of files)
    assert.ok(
      listed.some(file => file.path === path),
      path
    )
})

test('whatever a section holds, it is read or refused with its own error', () => {
  const value = fc.oneof(
    fc.string(),
    fc.integer(),
    fc.boolean(),
    fc.constantFrom('http://a', 'https://b/c', 'builds', 'basic', 'keep', 'x-a', '30s')
  )
  const names = ['key', 'type', 'url', 'host', 'response_timeout', 'ca_file', 'insecure', 'annotations', 'credentials']
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), value), section => {
      const lines = Object.entries(section).map(([name, one]) => `${name} = ${JSON.stringify(one)}`)
      problemsOf(`[[service]]\n${lines.join('\n')}\n`)
    })
  )
})

const keysOf = (text: string) =>
  [...parseConfig(`[general]\nnode_id = "root"\n${text}`, '', '/etc/relay', () => '').services.agentKeys].map(entry => [
    ...entry
  ])

test('agents may offer any key, unless the configuration of their relay names theirs', () => {
  assert.deepEqual(keysOf(''), [['*', ['*']]])
  assert.deepEqual(keysOf('[services.agent_keys]\n'), [])
  assert.deepEqual(keysOf('[services.agent_keys]\n"node-1" = ["builds", "lab-*"]\n"*" = []\n'), [
    ['node-1', ['builds', 'lab-*']],
    ['*', []]
  ])
  for (const line of ['"node-1" = "builds"', '"node-1" = ["a b"]', '"a/b" = ["builds"]', '"n" = ["cli*ents"]']) {
    assert.throws(() => keysOf(`[services.agent_keys]\n${line}\n`), ConfigError, line)
  }
})
