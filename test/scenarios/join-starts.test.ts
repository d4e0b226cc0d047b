import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { Agent, type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { treelineCommand } from '../../demo/relay-process.js'
import { eventually } from '../support/eventually.js'
import { startProcess, startTreeline, treeline } from '../support/machine/treeline-command.js'
import { getJson, startJoinedTree, succeed } from '../support/relays/joined-tree.js'

test('what init and join refuse, start and end', async t => {
  const tree = await startJoinedTree(t)

  await t.test('join starts what has joined, and that ends with it, however it ends', async t => {
    const links = async () => {
      const { result } = (await getJson(tree.root, '/v1/relay/links')) as { result: { id: string }[] }
      return result.map(({ id }) => id)
    }
    for (const [kind, id, signal, endCode] of [
      ['--relay', 'relay-a', 'SIGTERM', 0],
      ['--node', 'node-1', 'SIGKILL', null]
    ] as const) {
      const line = await tree.token(kind)
      const { folder, host, port, local } = await tree.machine(id)
      const options = ['--dir', folder, '--id', id, '--host', `${host}:${port}`, '--listen', local]
      const joining = startTreeline(t, [...line, ...options])
      try {
        await joining.printed('it starts now')
        await eventually('its link', async () => (await links()).includes(id))
        const shown = await readFile(`/proc/${joining.child.pid}/cmdline`, 'utf8')
        assert.match(shown, /^treeline join https:\S+ --token \*\*\* --dir /, 'a token that every user can read')
      } finally {
        joining.child.kill(signal)
      }
      const { code, stderr } = await joining.ended
      assert.equal(code, endCode, stderr)
      await eventually('the end of its link', async () => !(await links()).includes(id))
    }
  })

  await t.test('the line that token create prints works in a shell, and no command line has the token', async () => {
    const { stdout, stderr } = await succeed(tree.ask(tree.root, 'token', 'create', '--node'))
    const { folder } = await tree.machine('node-2')
    const { program, args } = treelineCommand([])
    const own = [program, ...args].map(word => `'${word}'`).join(' ')
    assert.match(stdout, /^echo \S+ \| treeline join https:\S+ --token-file -\n$/)
    const script = `${stdout.trim().replace('| treeline', `| ${own}`)} --id node-2 --dir '${folder}' --no-start`
    const joined = await succeed(startProcess(t, '/bin/sh', ['-c', script], {}).ended)
    assert.match(joined.stdout, /^node-2 has joined as a node/)
    assert.match(stderr, /where other users cannot list processes, also: treeline join \S+ --token \S+\n$/)
    const none = await treeline(t, ['join', 'https://127.0.0.1:1', '--token-file', '-'])
    assert.equal(none.code, 2)
    assert.match(none.stderr, /the token is not whole/)
  })

  await t.test('a token for one id says --again where that id is a member, and only there', async () => {
    for (const [id, end] of [
      ['node-2', / --id node-2 --again\n$/],
      ['node-9', / --id node-9\n$/]
    ] as const) {
      const { stdout, stderr } = await succeed(tree.ask(tree.root, 'token', 'create', '--node', '--id', id))
      assert.match(stdout, end)
      assert.match(stderr, end)
    }
  })

  await t.test('init does not touch a folder that has a root, and join wants a whole token', async t => {
    const key = await readFile(join(tree.root.folder, 'ca.key'), 'utf8')
    const again = await treeline(t, ['init', '--dir', tree.root.folder])
    assert.equal(again.code, 2)
    assert.match(again.stderr, /main\.conf is there already/)
    assert.equal(await readFile(join(tree.root.folder, 'ca.key'), 'utf8'), key)
    const half = await treeline(t, ['join', 'https://127.0.0.1:1', '--token', 'abc', '--dir', join(tree.folder, 'x')])
    assert.equal(half.code, 2)
    assert.match(half.stderr, /the token is not whole/)
  })

  await t.test('guesses at a token through a trusted proxy are those of one client, whatever port it has', async t => {
    const conf = join(tree.root.folder, 'main.conf')
    const text = await readFile(conf, 'utf8')
    await writeFile(conf, text.replace('[general]\n', '[general]\ntrusted_proxies = ["127.0.0.1"]\n'))
    const agent = new Agent({ keepAlive: true, maxSockets: 4 })
    t.after(() => agent.destroy())
    const post = async (path: string, body = '', headers: Record<string, string> = {}) => {
      const type = 'application/x-www-form-urlencoded'
      const asked = request(`http://${tree.root.local}${path}`, {
        method: 'POST',
        agent,
        headers: { 'content-type': type, 'content-length': String(body.length), ...headers }
      }).end(body)
      const [response] = (await once(asked, 'response')) as [IncomingMessage]
      await response.resume().toArray()
      return response.statusCode
    }
    assert.equal(await post('/rudder/relay-api/1/system/reload'), 200)
    const fields = { id: 'x', hostname: 'x.example', request: '', signing_key: '', signing_proof: '' }
    const tryToJoin = (client: string, secret: number) =>
      post('/v1/join', new URLSearchParams({ token: `0123456789ab.${secret}.x`, ...fields }).toString(), {
        'x-forwarded-for': client
      })
    const answers = new Map<number | undefined, number>()
    await Promise.all(
      Array.from({ length: 620 }, async (_, guess) => {
        const client = ['192.0.2.1', `192.0.2.1:${guess}`, `[::ffff:c000:201]:${guess}`][guess % 3] ?? ''
        const status = await tryToJoin(client, guess)
        answers.set(status, (answers.get(status) ?? 0) + 1)
      })
    )
    assert.deepEqual([answers.get(403), answers.get(503)], [600, 20])
    assert.equal(await tryToJoin('192.0.2.2', 0), 403, 'another client is heard')
    assert.equal(await tryToJoin('unknown', 0), 403)
  })
})
