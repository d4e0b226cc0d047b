import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { temporaryFolder, treeline } from '../support/machine/treeline-command.js'
import { startClientOf } from '../support/relays/clients.js'
import { startServiceCallers } from '../support/relays/service-callers.js'
import { startServiceTree } from '../support/relays/service-tree.js'
import { startSmallRelay } from '../support/relays/small-relay.js'
import { editConfig } from '../support/relays/tree-files.js'

const CONNECTED = '2026-01-31T12:00:00.000Z'

function replica(key: string, id: string, path: readonly string[], more: object = {}) {
  return { client_key: key, client_id: id, remote_address: '10.0.0.1:1', connected_at: CONNECTED, path, ...more }
}

test('services list has a row for each key, from all pages, and services show one for each replica', async t => {
  const away = { stale_since: '2026-02-01T12:00:00.000Z', type: 'jenkins', annotations: { description: 'CI' } }
  const relay = await startSmallRelay(t, {
    'GET /v1/relay/clients': ({ query }) =>
      query.get('after') === null
        ? { result: [replica('build', 'one', [], { type: 'jenkins' })], next: 'build/one/' }
        : { result: [replica('build', 'two', ['middle', 'low'], away), replica('git', 'x\u001b', [])] }
  })
  const ask = (...args: readonly string[]) => treeline(t, ['services', ...args, '--server', relay.url])
  const listed = await ask('list')
  assert.equal(listed.code, 0, listed.stderr)
  assert.match(
    listed.stdout,
    /^KEY +REPLICAS +TYPE +PATH +SINCE +AWAY\nbuild +2 +jenkins +here, middle > low +2026-01-31T12:00:00Z +1\ngit +1 +- +here +2026-01-31T12:00:00Z +0\n$/
  )
  const [build] = JSON.parse((await ask('list', '--json')).stdout)
  const paths = [[], ['middle', 'low']]
  assert.deepEqual(build, { key: 'build', replicas: 2, type: 'jenkins', paths, since: CONNECTED, away: 1 })

  const shown = await ask('show', 'build')
  assert.match(shown.stdout, /\none +jenkins +here +10\.0\.0\.1:1 +2026-01-31T12:00:00Z +- +-\n/)
  assert.match(shown.stdout, /\ntwo +jenkins +middle > low .* 2026-02-01T12:00:00Z +\{"description":"CI"\}\n$/)
  assert.match((await ask('show', 'git')).stdout, /\nx\? /)
  assert.equal(JSON.parse((await ask('show', 'build', '--json')).stdout).replicas.length, 2)
  const none = await ask('show', 'other')
  assert.equal(none.code, 1)
  assert.match(none.stderr, /no client is registered under other at http:.*`treeline services list` shows the keys/)
  const wrong = await ask('show', 'clients')
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /invalid key: "clients"; a key has/)
})

test('services test asks through the tree, and says where it stops', async t => {
  const { tree, urlOf, untilKnown, serve } = await startServiceTree(t)
  const baseUrl = await serve(({ url }, response) => {
    if (url === '/broken') response.writeHead(200, { 'content-length': 9 }).write('half', () => response.destroy())
    else if (url !== '/held') response.writeHead(url === '/?a=b' ? 200 : 404).end('hello')
  })
  const url = (await urlOf('root')).replace('/v1/relay/git', '')
  const server = ['--server', tree.relay('root').localUrl]
  const ask = (key: string, ...args: readonly string[]) => treeline(t, ['services', 'test', key, '--url', url, ...args])

  const none = await ask('git', ...server)
  assert.equal(none.code, 1, none.stderr)
  assert.match(none.stdout, /clients +0 \(\d+ ms\)\nanswer +502 Bad Gateway after \d+ ms/)
  assert.match(none.stdout, /result +it stops at the relay that is asked: no client is registered under git\n$/)

  const client = await startClientOf(t, tree, { relay: 'low', key: 'git', id: 'one', baseUrl })
  await untilKnown('middle>low')
  const good = await ask('git', '--path', '/?a=b', ...server)
  assert.equal(good.code, 0, good.stderr)
  assert.match(good.stdout, /clients +1, by middle > low \(\d+ ms\)\nanswer +200 OK after \d+ ms, all 5 B after \d+ ms/)
  assert.match(good.stdout, /result +the service answers\n$/)

  const elsewhere = JSON.parse((await ask('git', '--json')).stdout)
  assert.deepEqual([elsewhere.reached, elsewhere.status, elsewhere.bytes, elsewhere.whole], [true, 404, 5, true])
  assert.match(elsewhere.clients.unknown, /neither --server nor --config/)

  const broken = await ask('git', '--path', '/broken')
  assert.equal(broken.code, 1)
  assert.match(broken.stdout, /result +it stops at (byte \d|the beginning) of the answer: the connection broke off/)
  const held = await ask('git', '--path', '/held', '--timeout', '500ms')
  assert.equal(held.code, 1)
  assert.match(held.stdout, /result +it stops at an unknown place: no answer within 500ms/)

  client.child.kill('SIGKILL')
  await client.ended
  await untilKnown()
  await startClientOf(t, tree, { relay: 'low', key: 'git', id: 'two' })
  await untilKnown('middle>low')
  const closed = await ask('git', '--json', ...server)
  assert.equal(closed.code, 1)
  const { stopped, reached } = JSON.parse(closed.stdout)
  assert.equal(reached, false)
  assert.equal(stopped.at, 'the service, as its client sees it')
  assert.match(stopped.why, /no answer from the service: .*connection refused/i)

  const middle = tree.processes.get('middle')
  middle?.signal('SIGKILL')
  await middle?.ended
  const cut = await ask('git')
  assert.equal(cut.code, 1)
  assert.match(cut.stdout, /it stops at the relay/)
  const absent = await treeline(t, ['services', 'test', 'git', '--url', 'http://127.0.0.1:1'])
  assert.equal(absent.code, 1)
  assert.match(absent.stdout, /it stops at the relay that is asked: .*nothing listens there/)
})

test('services test finds the listener in the configuration, and shows a token for the key', async t => {
  const { relay, port, httpsPort, tokens, reload, seen } = await startServiceCallers(t)
  const folder = await temporaryFolder(t)
  const ask = (...args: readonly string[]) =>
    treeline(t, ['services', 'test', 'git', '--config', relay.directory, ...args])
  await reload(text => text.replace(/allowed_networks = .*127\.0\.0\.1\/32.*/, 'allowed_networks = ["127.0.0.2/32"]'))
  // the relay keeps its ports; only the command reads these
  await editConfig(relay, text => text.replace(/(\[services\][^[]*?listen = "127\.0\.0\.1:)0/, `$1${port}`))
  const refused = await ask()
  assert.equal(refused.code, 1, refused.stderr)
  assert.match(refused.stdout, /result +it stops at the relay that is asked: 127\.0\.0\.1 is not in services\.allowed/)

  const made = await treeline(t, ['token', 'create', '--scope', 'call:git', '--append', tokens])
  const file = join(folder, 'token')
  await writeFile(file, made.stdout, { mode: 0o600 })
  const admitted = async () => {
    const { code, stdout, stderr } = await ask('--call-token-file', file)
    return code === 0 && `${stdout}${stderr}`
  }
  assert.match(await eventually('an answer', admitted), /200 OK .*\nresult +the service answers\n$/)
  assert.ok(!seen()?.includes(made.stdout.trim()))

  await editConfig(relay, text =>
    text.replace(/\nlisten = .*(\nhttps_listen = "127\.0\.0\.1:)0/, (_all, before) => `${before}${httpsPort}`)
  )
  assert.match(await eventually('an answer', admitted), /asked +https:.*\n.*\nanswer +200 OK /)
})

test('services test refuses what it cannot ask', async t => {
  for (const [args, message] of [
    [[], /give --url, a relay's address for callers of services, or --config/],
    [['--url', 'ftp://x'], /--url should be http:\/\/host\[:port\] or https/],
    [['--url', 'http://127.0.0.1:1', '--path', 'x'], /--path should begin with \//],
    [['--url', 'http://127.0.0.1:1', '--path', '/a b'], /--path should begin with \/ and be percent-encoded/],
    [['--url', 'http://127.0.0.1:1', '--timeout', 'x'], /--timeout/]
  ] as const) {
    const { code, stderr, stdout } = await treeline(t, ['services', 'test', 'git', ...args])
    assert.match(stderr, message)
    assert.deepEqual([code, stdout], [2, ''])
  }
})
