import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Config, ConfigError } from '../../src/config/config.js'
import { parseConfig } from '../../src/config/config-parser.js'

const ROOT = '[general]\nnode_id = "root"\n'
const RELAY = '[general]\nnode_id = "relay-1"\n[output.upstream]\nhost = "rudder.example.com"\n'

function noFile(path: string): string {
  throw new Error(`no such file: ${path}`)
}

function parse(main: string, logging: string | undefined = ''): Config {
  return parseConfig(main, logging, '/etc/relay', noFile)
}

function problemsOf(main: string, logging = ''): readonly string[] {
  try {
    parse(main, logging)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

test('a root needs nothing but its id, and has the defaults of an existing relay', () => {
  const config = parse(ROOT)
  assert.deepEqual(config.notices, [])
  assert.equal(config.upstream, undefined)
  assert.deepEqual(config.general.listen, { host: '127.0.0.1', port: 3030 })
  assert.equal(config.general.httpsPort, 443)
  assert.equal(config.general.httpsIdleTimeoutMs, 2_000)
  assert.equal(config.general.peerAuthentication, 'cert_pinning')
  assert.equal(config.general.nodesListFile, '/var/rudder/lib/relay/nodeslist.json')
  assert.equal(config.remoteRun.command, '/opt/rudder/bin/rudder')
  assert.equal(config.remoteRun.timeoutMs, 3_600_000)
  assert.equal(config.remoteRun.retentionMs, 7 * 86_400_000)
  assert.equal(config.sharedFiles.maxBodyBytes, 52_428_800)
  assert.deepEqual(config.sharedFiles.cleanupFrequency, { everyMs: 600_000 })
  assert.equal(config.sharedFiles.maxTotalBytes, undefined)
  assert.equal(config.sharedFiles.allowSha1, true)
  assert.equal(config.sharedFiles.allowedNetworks.holdsAll, true)
  assert.equal(config.remoteRun.allowedNetworks.contains('10.0.0.1'), false)
  assert.equal(config.storage.path, '/var/lib/treeline')
  assert.equal(config.tokens.adminFile, undefined)
  assert.equal(config.logging.level, 'info')
})

test('every key is honoured', () => {
  const config = parse(`
    [general]
    node_id = "relay-1"
    nodes_list_file = "nodeslist.json"
    nodes_certs_file = "/abs/certs.pem"
    listen = "[::1]:0"
    https_listen = "0.0.0.0:8443"
    https_certificate_file = "relay.pem"
    https_key_file = "relay.key"
    https_port = 8443
    https_idle_timeout = 5
    connect_timeout = "500ms"
    response_timeout = "5s"
    peer_authentication = "cert_validation"
    ca_path = "ca.pem"
    trusted_proxies = ["127.0.0.1"]
    max_connections = 100
    stop_timeout = "0s"
    [output.upstream]
    host = "up.example.com:9443"
    server_certificate_file = "up.pem"
    user = "me"
    password = "secret"
    [neighbours.addresses]
    "relay-2" = "10.0.0.2:4443"
    [remote_run]
    enabled = false
    command = "bin/agent"
    use_sudo = false
    batch_size = 5
    concurrency = 2
    timeout = "5min"
    retention = "1day"
    max_output = "2MiB"
    allowed_networks = ["10.0.0.0/8"]
    [shared_files]
    path = "files"
    max_body_size = "1GiB"
    cleanup.frequency = "*/5 * * * *"
    max_total_size = "2GB"
    max_files_per_source = 7
    allowed_networks = ["fd00::/8"]
    allow_sha1 = false
    require_sender = true
    [shared_folder]
    path = "folder"
    allowed_networks = ["192.168.0.0/16"]
    [limits]
    headers_timeout = "2s"
    metadata_timeout = 3
    min_rate = "2KiB"
    rate_window = "4s"
    max_uploads = 9
    [storage]
    path = "state"
    [metrics]
    allowed_networks = ["10.1.1.1"]
    [tokens]
    admin_file = "token"`)
  assert.deepEqual(config.notices, [])
  assert.equal(config.directory, '/etc/relay')
  const { trustedProxies, ...general } = config.general
  assert.ok(trustedProxies.contains('127.0.0.1'))
  assert.deepEqual(general, {
    nodeId: 'relay-1',
    nodesListFile: '/etc/relay/nodeslist.json',
    nodesCertsFile: '/abs/certs.pem',
    listen: { host: '::1', port: 0 },
    httpsListen: { host: '0.0.0.0', port: 8443 },
    httpsCertificateFile: '/etc/relay/relay.pem',
    httpsKeyFile: '/etc/relay/relay.key',
    httpsPort: 8443,
    httpsIdleTimeoutMs: 5_000,
    connectTimeoutMs: 500,
    responseTimeoutMs: 5_000,
    peerAuthentication: 'cert_validation',
    caPath: '/etc/relay/ca.pem',
    maxConnections: 100,
    stopTimeoutMs: 0
  })
  const upstream = {
    host: 'up.example.com',
    port: 9443,
    serverCertificateFile: '/etc/relay/up.pem',
    user: 'me',
    password: 'secret'
  }
  assert.deepEqual(config.upstream, upstream)
  assert.deepEqual([...config.neighbours.addresses], [['relay-2', { host: '10.0.0.2', port: 4443 }]])
  const { allowedNetworks: runNetworks, ...remoteRun } = config.remoteRun
  assert.ok(runNetworks.contains('10.2.3.4'))
  assert.deepEqual(remoteRun, {
    enabled: false,
    command: '/etc/relay/bin/agent',
    useSudo: false,
    batchSize: 5,
    concurrency: 2,
    timeoutMs: 300_000,
    retentionMs: 86_400_000,
    maxOutputBytes: 2_097_152
  })
  const { allowedNetworks: fileNetworks, ...sharedFiles } = config.sharedFiles
  assert.ok(fileNetworks.contains('fd00::1') && !fileNetworks.contains('10.0.0.1'))
  assert.deepEqual(sharedFiles, {
    path: '/etc/relay/files',
    maxBodyBytes: 1024 ** 3,
    cleanupFrequency: { cron: '*/5 * * * *' },
    maxTotalBytes: 2_000_000_000,
    maxFilesPerSource: 7,
    allowSha1: false,
    requireSender: true
  })
  assert.equal(config.sharedFolder.path, '/etc/relay/folder')
  assert.ok(config.sharedFolder.allowedNetworks.contains('192.168.1.1'))
  assert.deepEqual(config.limits, {
    headersTimeoutMs: 2_000,
    metadataTimeoutMs: 3_000,
    minBytesPerSecond: 2_048,
    rateWindowMs: 4_000,
    maxUploads: 9
  })
  assert.equal(config.storage.path, '/etc/relay/state')
  assert.ok(config.metrics.allowedNetworks.contains('10.1.1.1'))
  assert.equal(config.tokens.adminFile, '/etc/relay/token')
})

test('a problem names file and key, what was expected and what came', () => {
  const message = 'main.conf: general.listen: expected host:port, such as 127.0.0.1:3030, got "foo"'
  assert.deepEqual(problemsOf(`${ROOT}listen = "foo"`), [message])
})

test('each kind of value is checked', () => {
  const bad = [
    'listen = 3030',
    'listen = "a:65536"',
    'listen = "[zz]:1"',
    'listen = "::1:80"',
    'https_port = 0',
    'https_port = "443"',
    'https_port = 1.5',
    'https_idle_timeout = "2 parsecs"',
    'https_idle_timeout = "30days"',
    'https_idle_timeout = -1',
    'https_idle_timeout = inf',
    'connect_timeout = []',
    'peer_authentication = "none"',
    'ca_path = ""',
    'ca_path = "a\\u0000b"',
    'trusted_proxies = "10.0.0.0/8"',
    'trusted_proxies = ["10.0.0.0/33"]',
    'trusted_proxies = [1]',
    'max_connections = 0',
    'nodes_list_file = 1979-05-27',
    'nodes_list_file = { a = 1 }'
  ]
  for (const line of bad) {
    const [problem = '', ...more] = problemsOf(`${ROOT}${line}`)
    assert.match(problem, new RegExp(`^main\\.conf: general\\.${line.split(' ')[0]}: expected .*, got `), line)
    assert.deepEqual(more, [])
  }
})

test('a cleanup frequency is a time or a cron expression that says what it seems to', () => {
  for (const value of [
    '0s',
    '5',
    '* * * *',
    '*/90 * * * *',
    '*/0 * * * *',
    'a b c d e',
    '61 * * * *',
    '* '.repeat(500)
  ]) {
    const problems = problemsOf(`${ROOT}[shared_files.cleanup]\nfrequency = "${value}"`)
    if (value === '5') assert.deepEqual(problems, [])
    else assert.match(problems[0] ?? '', /^main\.conf: shared_files\.cleanup\.frequency: expected a time/, value)
  }
})

test('all problems are told at once, of both files', () => {
  const main =
    '[general]\nnode_id = "a/b"\nlisten = 1\n[remote_run]\nconcurrency = 0\n[shared_files]\nallow_sha1 = "no"'
  const problems = problemsOf(main, '[general]\nlevel = "loud"')
  assert.equal(problems.length, 6)
  for (const key of ['node_id', 'listen', 'host', 'concurrency', 'allow_sha1', 'level']) {
    assert.ok(
      problems.some(problem => problem.includes(`.${key}: `)),
      key
    )
  }
})

test('every relay but the root needs its policy server', () => {
  for (const host of ['', '[output.upstream]\nhost = ""\n']) {
    const [problem] = problemsOf(`[general]\nnode_id = "relay-1"\n${host}`)
    assert.match(problem ?? '', /^main\.conf: output\.upstream\.host: missing: every relay but "root" needs/)
  }
  assert.equal(problemsOf('[general]\nnode_id = "r"\n[output.upstream]\nhost = "https://x/"').length, 1)
})

test('without a password there is no user either, unless one is set', () => {
  assert.equal(parse(RELAY).upstream?.user, undefined)
  assert.equal(parse(`${RELAY}password = "x"`).upstream?.user, 'rudder')
  assert.equal(parse(`${RELAY}user = "me"`).upstream?.user, 'me')
})

test('a wrong secret is not shown', () => {
  const problems = problemsOf(`${RELAY}password = 123456`)
  assert.deepEqual(problems, ['main.conf: output.upstream.password: expected a text in quotes, got something else'])
  const syntax = problemsOf(`${RELAY}password = "hunter2`)
  assert.ok(!syntax.join().includes('hunter2'))
})

test('the node id comes from its file when it is not set', () => {
  const read = (path: string) => (path === '/opt/rudder/etc/uuid.hive' ? 'root\n' : noFile(path))
  assert.equal(parseConfig('', '', '/etc/relay', read).general.nodeId, 'root')
  const reading = (content: string) => () => parseConfig('', '', '/etc/relay', () => content)
  assert.throws(reading(''), /general\.node_id_file: expected a node id .* got "" in \/opt\/rudder\/etc\/uuid\.hive/)
  assert.throws(reading('../etc'), ConfigError)
  assert.match(
    problemsOf('')[0] ?? '',
    /node_id_file: \/opt\/rudder\/etc\/uuid\.hive cannot be read, and node_id is not set/
  )
})

test('certificate and key of the HTTPS listener go together', () => {
  const missing = (lines: string) => problemsOf(`${ROOT}${lines}`)[0] ?? ''
  assert.match(missing('https_listen = "0.0.0.0:443"'), /https_certificate_file: missing/)
  assert.match(missing('https_certificate_file = "a"'), /https_key_file: missing/)
  assert.match(missing('https_key_file = "a"'), /https_certificate_file: missing/)
})

test('a syntax error gives line and column, and hides no other file', () => {
  const problems = problemsOf('[general]\nlisten = \n', 'a = 1\na = 2')
  assert.match(problems[0] ?? '', /^main\.conf: line 2, column \d+: /)
  assert.match(problems[1] ?? '', /^logging\.conf: line 2, column 1: /)
})

test('a text without quotes is told that it needs them, and not shown: it may be a password', () => {
  for (const value of ['root', 'relay-1.example.com', '/etc/x', 'truely']) {
    const [problem = ''] = problemsOf(`[general]\nnode_id = ${value} # mine\n`)
    assert.match(problem, /^main\.conf: line 2, column \d+: .*; a text needs quotes: node_id = "…"$/)
    assert.ok(!problem.includes(value), problem)
  }
  for (const text of ['listen = ', 'port = 1x', 'listen = "a']) {
    assert.doesNotMatch(problemsOf(`[general]\n${text}\n`)[0] ?? '', /quotes/, text)
  }
})

test('unknown keys are noticed, with what was probably meant', () => {
  const main = `${ROOT}htps_port = 1\nqueue_size = 3\n[remote-run]\nenabled = true\n[__proto__]\nx = 1`
  assert.deepEqual(parse(main).notices, [
    { level: 'warning', text: 'main.conf: remote-run: unknown key, ignored; did you mean remote_run?' },
    { level: 'warning', text: 'main.conf: __proto__: unknown key, ignored' },
    { level: 'warning', text: 'main.conf: general.htps_port: unknown key, ignored; did you mean general.https_port?' },
    { level: 'warning', text: 'main.conf: general.queue_size: unknown key, ignored' }
  ])
})

test('inventories and reports that the existing relay would forward are an error notice', () => {
  const main = `${ROOT}[processing.inventory]\noutput = "upstream"\n[processing.reporting]\noutput = "database"`
  const notices = parse(main).notices
  assert.deepEqual(
    notices.map(notice => notice.level),
    ['error', 'error']
  )
  assert.match(notices[0]?.text ?? '', /processing\.inventory\.output: Treeline forwards no inventories and reports/)
  assert.deepEqual(
    parse(`${ROOT}[processing.inventory]\noutput = "disabled"\n[processing.reporting.catchup]\n`).notices,
    []
  )
})

test('a peer authentication that checks nothing is warned of', () => {
  const [notice] = parse(`${ROOT}peer_authentication = "dangerous_none"`).notices
  assert.equal(notice?.level, 'warning')
  assert.match(notice?.text ?? '', /general\.peer_authentication: "dangerous_none"/)
})

test('the configuration is frozen through and through', () => {
  const config = parse(`${RELAY}[neighbours.addresses]\nx = "h:1"`)
  const parts = [config, config.general, config.general.listen, config.upstream, config.notices, config.sharedFiles]
  for (const part of [...parts, config.general.trustedProxies, config.neighbours.addresses.get('x')]) {
    assert.ok(Object.isFrozen(part))
  }
})

test('no text makes it throw anything but a ConfigError', () => {
  const key = fc.constantFrom(
    'listen',
    'https_port',
    'connect_timeout',
    'trusted_proxies',
    'ca_path',
    'node_id',
    '"\\u0000"'
  )
  const value = fc.oneof(fc.json(), fc.constantFrom('inf', 'nan', '1979-05-27', '"1h"', '-0', '"0x1"', '[[]]'))
  const line = fc.tuple(key, value).map(([name, text]) => `${name} = ${text}`)
  const main = fc.oneof(
    fc.string({ unit: 'binary' }),
    line.map(text => `${ROOT.replace('node_id', 'nid')}${text}`)
  )
  fc.assert(
    fc.property(main, fc.string(), (mainToml, loggingToml) => {
      problemsOf(mainToml, loggingToml)
    }),
    { numRuns: 500 }
  )
  assert.equal(problemsOf(`a = ${'['.repeat(100_000)}`).length, 1)
})

test('the tree of the root may be its members, and its files then lie in its storage', () => {
  const config = parseConfig(
    '[general]\nnode_id = "root"\n[tree]\nsource = "members"\n[storage]\npath = "/srv/t"',
    undefined,
    '/etc/relay',
    () => ''
  )
  assert.equal(config.tree.source, 'members')
  assert.equal(config.general.nodesListFile, '/srv/t/tree/nodeslist.json')
  assert.equal(config.general.nodesCertsFile, '/srv/t/tree/allnodescerts.pem')
})

test('a source of the tree that does not fit the relay is a problem', () => {
  const read = (id: string, source: string) => () =>
    parseConfig(
      `[general]\nnode_id = "${id}"\n[tree]\nsource = "${source}"\n[output.upstream]\nhost = "up"`,
      undefined,
      '/etc/relay',
      () => ''
    )
  assert.throws(read('relay-1', 'members'), /tree\.source: "members" is for "root" alone/)
  assert.throws(read('root', 'policy-server'), /tree\.source: "root" has no policy server/)
})
