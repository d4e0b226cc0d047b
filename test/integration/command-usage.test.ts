import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder, treeline } from '../support/machine/treeline-command.js'
import { makeCertificate } from '../support/network/openssl-certificate.js'
import { startSmallRelay } from '../support/relays/small-relay.js'

test('--version, help and usage', async t => {
  const version = await treeline(t, ['--version'])
  assert.deepEqual([version.code, /^\d+\.\d+\.\d+\n$/.test(version.stdout)], [0, true])
  const help = await treeline(t, [])
  assert.equal(help.code, 0)
  assert.match(help.stdout, /Exit codes: 0 done, 1 failed, 2 wrong usage/)
  assert.match((await treeline(t, ['help', 'run'])).stdout, /--max-failures/)
  assert.equal((await treeline(t, ['nosuch'])).code, 2)
  assert.equal((await treeline(t, ['nodes', 'show'])).code, 2)
})

test('what is missing or too much is named, with what it is and a whole command line', async t => {
  const cases: readonly (readonly [args: readonly string[], missing: string])[] = [
    [['fetch'], '<source> is missing: id of the node that shared it\nfor example: treeline fetch node-a report.txt '],
    [['fetch', 'a'], '<file-id> is missing: name of the file\nfor example: treeline fetch node-a report.txt '],
    [['fetch', 'a', 'f'], '<dest> is missing: path for the file'],
    [['share', 'a', 'f', 'p'], '--ttl <time> is missing: time to live: a number of seconds'],
    [['runs', 'show'], '<id> is missing: id of the run, as in the list\nfor example: treeline runs show 01K9'],
    [
      ['nodes', 'move', 'a'],
      '--under <relay> is missing: id of its new policy server\nfor example: treeline nodes move '
    ],
    [['join'], '<url> is missing: '],
    [['nodes', 'list', '--server'], '--server <url> needs a value: URL of the relay'],
    [['serve', '/etc'], "too many arguments for 'serve': /etc\nfor example: treeline serve --config /etc/"],
    [['runs', 'show', 'a', 'b', 'c'], "too many arguments for 'show': b c\nfor example: treeline runs show "],
    [['serve', '-c'], '-c, --config <dir> needs a value: '],
    [['nodes', 'remove', '-x'], "unknown option '-x'\n(a <id> that begins with - comes after --)\n"],
    [['runs', 'list', '--nope'], "unknown option '--nope'\n"]
  ]
  for (const [args, missing] of cases) {
    const { code, stderr } = await treeline(t, args)
    assert.ok(stderr.startsWith(`treeline: ${missing}`), stderr)
    assert.match(stderr, /\n\(--help shows the usage\)\n$/)
    assert.equal(code, 2)
  }
})

test('counts out of their range are usage errors that name it, and nothing is asked', async t => {
  const relay = await startSmallRelay(t)
  for (const [args, range] of [
    [['list', '--limit', '-1'], '--limit should be a whole number from 1 to 1000, not "-1"'],
    [['list', '--limit', '1001'], 'from 1 to 1000'],
    [['list', '--limit', 'ten'], 'from 1 to 1000'],
    [['events', '01K9ZT5R9C8YQ2W7C0M3V6X1AB', '--after', '-1'], '--after should be a whole number from 0 to']
  ] as const) {
    const { code, stderr } = await treeline(t, ['runs', ...args, '--server', relay.url])
    assert.equal(code, 2, stderr)
    assert.ok(stderr.includes(range), stderr)
  }
  assert.deepEqual(relay.requests, [])
})

test('what was typed wrong is exit code 2 and names it, for every command, and no relay is asked', async t => {
  const relay = await startSmallRelay(t)
  const folder = await temporaryFolder(t)
  const keys = await temporaryFolder(t)
  const [one, other] = await Promise.all(['one', 'other'].map(name => makeCertificate(join(keys, name))))
  assert.ok(one !== undefined && other !== undefined)
  const server = ['--server', relay.url]
  const cases: readonly (readonly [args: readonly string[], message: RegExp])[] = [
    [['nodes', 'show', 'a/b', ...server], /invalid node id: "a\/b"/],
    [['nodes', 'move', 'a', '--under', '..', ...server], /invalid node id: "\.\."/],
    [['trace', 'a b', ...server], /invalid node id: "a b"/],
    [['runs', 'show', 'x', ...server], /invalid run id: "x"/],
    [['token', 'create', '--relay', '--node', ...server], /give either --relay or --node/],
    [['token', 'create', '--node', '--uses', '0', ...server], /--uses should be a whole number from 1/],
    [['token', 'create', '--node', '--id', 'a b', ...server], /invalid node id: "a b"/],
    [['run', '--all', '--wait', '9000days', ...server], /--wait should be at most 7days, not "9000days"/],
    [['run', '--all', '--timeout', '0', ...server], /--timeout should be at least 1ms, not "0"/],
    [['token', 'revoke', 'nope', ...server], /invalid token id: "nope"; `treeline token list` shows them/],
    [['outbox', 'retry', 'abc', ...server], /invalid entry: "abc"; `treeline outbox list` shows their ids/],
    [['outbox', 'drop', 'x y', ...server], /invalid entry: "x y"/],
    [['links', 'close', 'x y', ...server], /invalid node id: "x y"/],
    [['links', 'close', '--client', 'x y', ...server], /invalid client: "x y"; a client key has/],
    [['nodes', 'list', '--server', 'unix:relative'], /--server "unix:relative": the path of a socket begins with \//],
    [
      ['nodes', 'list', ...server, '--cert', one.certFile, '--key', other.keyFile],
      /--key .*other\.key is not the key of --cert .*one\.cert: they go together/
    ],
    [
      ['nodes', 'list', ...server, '--cert', one.certFile, '--key', one.certFile],
      /--key .*one\.cert holds no readable private key in PEM form/
    ],
    [['nodes', 'list', '--ca', '/etc/hostname', ...server], /--ca \/etc\/hostname holds no certificate/],
    [['agent', '--config', '/etc/hostname'], /--config \/etc\/hostname is a file; name the folder/],
    [
      ['init', '--dir', folder, '--nodes-list', `${folder}/none`],
      /--nodes-list .*none cannot be read: there is no such file/
    ],
    [['init', '--dir', folder, '--command', 'echo'], /--command should be the path of a program/],
    [
      ['join', 'https://127.0.0.1/relay', '--token', 'x', '--dir', folder],
      /the policy server's URL should be https:\/\/host\[:port\], not "https:\/\/127\.0\.0\.1\/relay"/
    ],
    [['join', 'https://127.0.0.1', '--dir', folder], /give either --token-file or --token/]
  ]
  await Promise.all(
    cases.map(async ([args, message]) => {
      const { code, stderr } = await treeline(t, args)
      assert.equal(code, 2, `${args.join(' ')}: ${stderr}`)
      assert.match(stderr, /^treeline: /)
      assert.match(stderr, message)
    })
  )
  assert.deepEqual(relay.requests, [])
  assert.deepEqual(await readdir(folder), [], 'nothing was made')
})

test('what is wrong in the environment is named by its variable', async t => {
  const cases: readonly (readonly [args: string[], env: NodeJS.ProcessEnv, message: RegExp])[] = [
    [['nodes', 'list'], { TREELINE_SERVER: 'foo' }, /TREELINE_SERVER should be an http or https URL, not "foo"/],
    [['nodes', 'list'], { TREELINE_SERVER: 'unix:s' }, /TREELINE_SERVER "unix:s": the path of a socket begins with/],
    [
      ['nodes', 'list'],
      { TREELINE_CONFIG: '/nowhere' },
      /TREELINE_CONFIG \/nowhere: main\.conf: there is no folder \/nowhere/
    ],
    [
      ['client', '--server-url', 'https://x', '--client-key', 'k'],
      { TREELINE_BASE_URL: 'not a url', TREELINE_TOKEN: 'x' },
      /TREELINE_BASE_URL "not a url" is no URL/
    ],
    [
      ['client', '--server-url', 'https://x', '--base-url', 'http://x', '--client-key', 'k'],
      { TREELINE_TOKEN_FILE: '/nowhere' },
      /^treeline: TREELINE_TOKEN_FILE \/nowhere cannot be read: there is no such file/
    ]
  ]
  for (const [args, env, message] of cases) {
    const { code, stderr } = await treeline(t, args, env)
    assert.equal(code, 2, stderr)
    assert.match(stderr, message)
    assert.doesNotMatch(stderr, /--server |^treeline: --/)
  }
})

test('the help of a command says what it can do before how a relay is found', async t => {
  const { stdout } = await treeline(t, ['run', '--help'])
  assert.ok(stdout.indexOf('--max-failures') < stdout.indexOf('Connection options'), stdout)
  assert.ok(stdout.indexOf('Connection options') < stdout.indexOf('--token-file'), stdout)
})

test('what a relay refuses as malformed is what was typed wrong', async t => {
  const refuse = (_: unknown, response: ServerResponse) => void response.writeHead(400).end('too long\n')
  const relay = await startSmallRelay(t, { 'GET nodes/a/route': refuse })
  const { code, stderr } = await treeline(t, ['nodes', 'route', 'a', '--server', relay.url])
  assert.deepEqual([code, stderr], [2, 'treeline: the relay refused (400): too long\n'])
})
