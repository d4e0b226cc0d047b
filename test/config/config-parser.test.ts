import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError } from '../../src/config/config.js'
import { parseConfig } from '../../src/config/config-parser.js'
import { noFile, parse, problemsOf, RELAY, ROOT } from '../support/config-texts.js'

test('a root needs nothing but its id, and has the defaults of an existing relay', () => {
  const config = parse(ROOT)
  assert.deepEqual(config.notices, [])
  assert.equal(config.upstream, undefined)
  assert.deepEqual(config.general.listen, { host: '127.0.0.1', port: 3030 })
  assert.equal(config.general.httpsPort, 443)
  assert.equal(config.general.httpsIdleTimeoutMs, 2_000)
  assert.equal(config.general.peerAuthentication, 'cert_pinning')
  assert.equal(config.general.nodesListFile, '/var/rudder/lib/relay/nodeslist.json')
  assert.equal(config.general.nodesCertsFile, '/var/rudder/lib/ssl/nodescerts.pem')
  assert.equal(config.remoteRun.stderr, false)
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

test('times are taken in every form that existing relays take, in their keys', () => {
  const times = (text: string) => {
    const { general, sharedFiles } = parse(`
      [general]
      node_id = "root"
      https_idle_timeout = "${text}"
      [shared_files.cleanup]
      frequency = "${text}"`)
    return [general.httpsIdleTimeoutMs, sharedFiles.cleanupFrequency]
  }
  assert.deepEqual(times('500ms'), [500, { everyMs: 1_000 }])
  assert.deepEqual(times('7s 1h'), [3_607_000, { everyMs: 3_607_000 }])
  assert.deepEqual(times('1month'), [24 * 86_400_000, { everyMs: 2_630_016_000 }], 'as long as a timer can wait')
})

test('every key is honoured', () => {
  const config = parse(`
    [general]
    node_id = "relay-1"
    nodes_list_file = "nodeslist.json"
    nodes_certs_file = "/abs/certs.pem"
    listen = "[::1]:0"
    behind_proxy = true
    proxy_listen = "127.0.0.1:3031"
    socket = "relay.sock"
    hostnames = ["alias.example.com"]
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
    host = "UP.example.com.:9443"
    node_id = "root"
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
    fallback_command = false
    own_arguments = ["agent", "run"]
    stderr = true
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
    proxyListen: { host: '127.0.0.1', port: 3031 },
    behindProxy: true,
    socket: '/etc/relay/relay.sock',
    hostnames: ['alias.example.com'],
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
    nodeId: 'root',
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
    maxOutputBytes: 2_097_152,
    fallbackCommand: false,
    ownArguments: ['agent', 'run'],
    stderr: true
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

test('lanes are of the kind that is set, or of the one that passes', () => {
  assert.equal(parse(ROOT).links.lane, 'auto')
  assert.equal(parse(`${ROOT}[links]\nlane = "websocket"`).links.lane, 'websocket')
  const [problem = ''] = problemsOf(`${ROOT}[links]\nlane = "raw"`)
  assert.match(problem, /links\.lane.*auto, websocket/)
})

test('without a password there is no user either, unless one is set', () => {
  assert.equal(parse(RELAY).upstream?.user, undefined)
  assert.equal(parse(`${RELAY}password = "x"`).upstream?.user, 'rudder')
  assert.equal(parse(`${RELAY}user = "me"`).upstream?.user, 'me')
})

test('the node id comes from its file when it is not set', () => {
  const read = (path: string) => (path === '/opt/rudder/etc/uuid.hive' ? 'root\n' : noFile(path))
  assert.equal(parseConfig('', '', '/etc/relay', read).general.nodeId, 'root')
  const reading = (content: string) => () => parseConfig('', '', '/etc/relay', () => content)
  assert.throws(reading(''), /general\.node_id_file: expected a node id .* got "" in \/opt\/rudder\/etc\/uuid\.hive/)
  assert.throws(reading('../etc'), ConfigError)
  const [empty, ...others] = problemsOf('')
  assert.equal(empty, 'main.conf: it is empty: restore it from a backup, or write it anew')
  assert.match(others[0] ?? '', /node_id_file: \/opt\/rudder\/etc\/uuid\.hive cannot be read, and node_id is not set/)
})

test('a text without quotes is told that it needs them, and not shown: it may be a password', () => {
  for (const value of ['root', 'relay-1.example.com', '/etc/x', 'truely']) {
    const [problem = ''] = problemsOf(`[general]\nnode_id = ${value} # mine\n`)
    assert.match(problem, /^main\.conf: line 2, column \d+: .*; a text needs quotes: node_id = "…"$/)
    assert.ok(!problem.includes(value), problem)
  }
  assert.match(
    problemsOf('[general]\nnode_id = "root\n')[0] ?? '',
    /line 2, column \d+: this text has no closing quote/
  )
  for (const text of ['listen = ', 'port = 1x', 'listen = "a']) {
    assert.doesNotMatch(problemsOf(`[general]\n${text}\n`)[0] ?? '', /quotes/, text)
  }
})

test('the configuration is frozen through and through', () => {
  const config = parse(`${RELAY}[neighbours.addresses]\nx = "h:1"`)
  const parts = [config, config.general, config.general.listen, config.upstream, config.notices, config.sharedFiles]
  for (const part of [...parts, config.general.trustedProxies, config.neighbours.addresses.get('x')]) {
    assert.ok(Object.isFrozen(part))
  }
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

test('what stands before general.listen is asked for where it matters', () => {
  const noticesOf = (general: string) =>
    parse(`[general]\nnode_id = "root"\n${general}`).notices.map(({ text }) => text)
  assert.match(noticesOf('trusted_proxies = ["127.0.0.0/8"]').join(), /trusted_proxies: .*general\.behind_proxy = true/)
  assert.match(noticesOf('trusted_proxies = ["::1"]').join(), /general\.behind_proxy = true/)
  assert.match(noticesOf('behind_proxy = true').join(), /behind_proxy: nobody is a local caller.*general\.socket/)
  assert.deepEqual(noticesOf('trusted_proxies = ["192.0.2.1"]'), [])
  assert.deepEqual(noticesOf('trusted_proxies = ["127.0.0.1"]\nproxy_listen = "127.0.0.1:3031"'), [])
  assert.deepEqual(noticesOf('trusted_proxies = ["127.0.0.1"]\nbehind_proxy = true\nsocket = "s"'), [])
})

test('hosts of other relays have one form, whatever their spelling, and what is none is refused', () => {
  for (const [written, host, port] of [
    ['Root.Example.com.:8443', 'root.example.com', 8_443],
    ['[::FFFF:192.0.2.1]:1', '192.0.2.1', 1],
    ['[2001:DB8:0:0::1]:443', '2001:db8::1', 443]
  ] as const) {
    const { upstream, neighbours } = parse(
      `[general]\nnode_id = "a"\n[output.upstream]\nhost = "${written}"\n[neighbours.addresses]\nb = "${written}"`
    )
    assert.deepEqual([upstream?.host, upstream?.port], [host, port])
    assert.deepEqual([...neighbours.addresses], [['b', { host, port }]])
  }
  const [upstream, neighbour] = problemsOf(
    `${ROOT}[output.upstream]\nhost = "127.1"\n[neighbours.addresses]\nb = "127.1:443"`
  )
  assert.match(upstream ?? '', /output\.upstream\.host: expected a host name/)
  assert.match(neighbour ?? '', /neighbours\.addresses\.b: expected host:port/)
})

test('a socket whose path would be cut off, and names that are none, are refused', () => {
  const general = (line: string) => () => parse(`[general]\nnode_id = "root"\n${line}`)
  assert.throws(general(`socket = "/run/${'a'.repeat(99)}"`), /general\.socket: expected a path that has.* 103 bytes/)
  assert.throws(general('hostnames = ["relay.example.com:3030"]'), /general\.hostnames: expected a list of host names/)
  assert.throws(general('hostnames = "relay"'), /general\.hostnames/)
  assert.deepEqual(general('hostnames = ["Relay.Example.com."]')().general.hostnames, ['relay.example.com'])
})
