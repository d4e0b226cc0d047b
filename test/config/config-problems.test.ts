import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseConfig } from '../../src/config/config-parser.js'
import { anyText } from '../support/any-text.js'
import { parse, problemsOf, RELAY, ROOT } from '../support/config-texts.js'

test('a problem names file and key, what was expected and what came', () => {
  const message = 'main.conf: general.listen: expected host:port, such as 127.0.0.1:3030, got "foo"'
  assert.deepEqual(problemsOf(`${ROOT}listen = "foo"`), [message])
})

test('each [[service_listener]] leads somewhere, and has a certificate', () => {
  const problem = (lines: string) => problemsOf(`${ROOT}[[service_listener]]\nlisten = "[::1]:0"\n${lines}`).join('\n')
  assert.match(problem('tls = false'), /^main\.conf: service_listener\[0\]\.fixed: missing: without TLS/)
  assert.match(problem('fixed = "clients"\ntls = false'), /\.fixed: expected the key of a service/)
  assert.match(problem('fixed = "a"'), /\.tls: needs certificate_file and key_file/)
  assert.match(problem('fixed = "a"\ncertificate_file = "a.pem"'), /\.key_file: missing/)
  const files = 'certificate_file = "a.pem"\nkey_file = "a.key"\n'
  assert.match(problem(`${files}fixed = "a"\nsuffix = "b.c"`), /\.fixed: leads to one service/)
  assert.match(problem(`${files}suffix = ".b"`), /\.suffix: expected a host name/)
  assert.match(problem(`${files}server_names = { "a b" = "a" }`), /server_names\."a b": expected a host name/)
  assert.match(problem(`${files}server_names = { "a.b" = "a b" }`), /server_names\."a\.b": expected the key/)
  assert.equal(problem(`${files}suffix = "B.c"`), '')
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
  for (const host of ['https://x/', '127.1', '0x7f.0.0.1:443', 'a..b', '[fe80::1%eth0]:443']) {
    assert.equal(problemsOf(`[general]\nnode_id = "r"\n[output.upstream]\nhost = "${host}"`).length, 1, host)
  }
})

test('a wrong secret is not shown', () => {
  const problems = problemsOf(`${RELAY}password = 123456`)
  assert.deepEqual(problems, ['main.conf: output.upstream.password: expected a text in quotes, got something else'])
  const syntax = problemsOf(`${RELAY}password = "hunter2`)
  assert.ok(!syntax.join().includes('hunter2'))
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
    anyText(),
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
