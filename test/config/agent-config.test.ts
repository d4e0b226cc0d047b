import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadAgentConfig } from '../../src/config/agent/agent-loader.js'
import { parseAgentConfig } from '../../src/config/agent/agent-parser.js'
import { ConfigError } from '../../src/config/config.js'

const LEAST = `node_id = "node-1"
certificate_file = "own.cert"
key_file = "/keys/own.key"
[upstream]
host = "relay.example.com"
`

function parse(text: string) {
  return parseAgentConfig(text, '', '/etc/agent')
}

function problemsOf(text: string): readonly string[] {
  try {
    parse(text)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

test('the least that works, with its defaults', () => {
  const config = parse(LEAST)
  assert.deepEqual(config.notices, [])
  assert.equal(config.certificateFile, '/etc/agent/own.cert')
  assert.equal(config.signingKeyFile, '/keys/own.key')
  assert.deepEqual(config.upstream, {
    host: 'relay.example.com',
    nodeId: undefined,
    port: 443,
    serverCertificateFile: undefined,
    caFile: undefined,
    tlsCertificate: false,
    lane: 'auto'
  })
  assert.deepEqual(config.agent, {
    command: '/opt/rudder/bin/rudder',
    arguments: ['agent', 'run'],
    useSudo: false,
    timeoutMs: 3_600_000,
    maxOutputBytes: 1_048_576,
    concurrency: 1,
    whenBusy: 'queue',
    stopTimeoutMs: 30_000,
    maxShareBytes: 1_073_741_824
  })
  assert.deepEqual([config.receive, config.share], [[], []])
})

test('files to receive and to share', () => {
  const { receive, share } = parse(`${LEAST}
[[agent.receive]]
source = "root"
file_id = "a"
destination = "/etc/a"
mode = "0640"
owner = "www-data:adm"
command = "/bin/true"
[[agent.receive]]
source = "root"
file_id = "b"
destination = "/etc/b"
command = ["/bin/echo", "b c"]
[[agent.share]]
target = "root"
file_id = "c"
path = "/var/c"
ttl = "1day 2hours"`)
  const rest = { mode: undefined, owner: undefined, sourceKeyHash: undefined }
  assert.deepEqual(receive, [
    {
      ...rest,
      source: 'root',
      fileId: 'a',
      destination: '/etc/a',
      mode: 0o640,
      owner: 'www-data:adm',
      command: ['/bin/true']
    },
    { ...rest, source: 'root', fileId: 'b', destination: '/etc/b', command: ['/bin/echo', 'b c'] }
  ])
  assert.deepEqual(share, [{ target: 'root', fileId: 'c', path: '/var/c', ttl: '1day 2hours' }])
})

test('the host of the policy server has one form, whatever its spelling', () => {
  const upstreamAt = (host: string) => parse(LEAST.replace('relay.example.com', host)).upstream
  assert.equal(upstreamAt('Relay.Example.com.:8443').host, 'relay.example.com')
  assert.equal(upstreamAt('[::FFFF:192.0.2.1]:1').host, '192.0.2.1')
  assert.match(problemsOf(LEAST.replace('relay.example.com', '127.1')).join(), /upstream\.host: expected a host name/)
})

test('a byte order mark does no harm', t => {
  const directory = mkdtempSync(join(tmpdir(), 'agent-config-'))
  t.after(() => rmSync(directory, { recursive: true }))
  writeFileSync(join(directory, 'agent.conf'), `\uFEFF${LEAST}`)
  writeFileSync(join(directory, 'logging.conf'), '\uFEFF[general]\nlevel = "debug"\n')
  const { nodeId, logging } = loadAgentConfig(directory)
  assert.deepEqual([nodeId, logging.level], ['node-1', 'debug'])
})

test('all that is wrong is told at once, by its place', () => {
  const problems = problemsOf(`node_id = "a b"
key_file = "own.key"
[upstream]
ca_file = "ca.pem"
server_certificate_file = "pin.pem"
[agent]
when_busy = "drop"
arguments = "run"
[[agent.receive]]
source = ".."
file_id = "x.metadata"
destination = "relative"
mode = "rw"
owner = "a b"
command = []
[[agent.share]]
target = "root"
file_id = "c"
path = "/c"
ttl = "soon"`)
  assert.deepEqual(problems.map(problem => problem.split(': ', 2)[1]).sort(), [
    'agent.arguments',
    'agent.receive[0].command',
    'agent.receive[0].destination',
    'agent.receive[0].file_id',
    'agent.receive[0].mode',
    'agent.receive[0].owner',
    'agent.receive[0].source',
    'agent.share[0].ttl',
    'agent.when_busy',
    'certificate_file',
    'node_id',
    'upstream.ca_file',
    'upstream.host'
  ])
})

test('a single section where a list is expected is a problem; unknown keys are noticed, also within lists', () => {
  assert.match(problemsOf(`${LEAST}[agent.receive]\nsource = "root"`).join(), /agent\.receive: expected at most/)
  const { notices } = parse(
    `${LEAST}[[agent.share]]\ntarget = "root"\nfile_id = "c"\npath = "/c"\nttl = 60\npaths = "/d"`.replace(
      'ttl = 60',
      'ttl = "60"'
    )
  )
  assert.deepEqual(
    notices.map(({ text }) => text),
    ['agent.conf: agent.share[0].paths: unknown key, ignored; did you mean agent.share[0].path?']
  )
})

test('the page explains every key, and its example is a good configuration', () => {
  const page = readFileSync(new URL('../../docs/agent.md', import.meta.url), 'utf8')
  const source = readFileSync(new URL('../../src/config/agent/agent-parser.ts', import.meta.url), 'utf8')
  const keys = [...source.matchAll(/\.(?:read|optional|required)\(\s*'([a-z_]+)'/g)].map(([, key = '']) => key)
  assert.ok(keys.length > 20)
  for (const key of keys)
    assert.match(page, new RegExp(`^\\| (?:.*, )?\`${key}\``, 'm'), `docs/agent.md does not explain ${key}`)
  const [, example = ''] = /```toml\n([\s\S]*?)```/.exec(page) ?? []
  assert.deepEqual(parse(example).notices, [])
  for (const [, key = '', value = ''] of page.matchAll(/^\| `([a-z_]+)` \| `([^`]+)` \|/gm)) {
    if (key === 'path') continue
    const section = ['tls_certificate', 'lane'].includes(key) ? '' : '[agent]\n' // what LEAST ends with is `upstream`
    assert.deepEqual(parse(`${LEAST}${section}${key} = ${value}`), parse(LEAST), `the default of ${key}`)
  }
})
