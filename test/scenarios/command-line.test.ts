import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startProcess, startTreeline, treeline } from '../support/machine/treeline-command.js'
import { startTree } from '../support/relays/relay-tree.js'

const RELAYS = [
  { id: 'root', under: 'root', nodes: ['node-r1', 'node-r2'] },
  { id: 'sub', under: 'root', nodes: ['node-s1', 'node-fails'] }
]
const FUNCTIONS = join(import.meta.dirname, '../../deploy/methods/sharedfile.sh')

/** Elsewhere the commands speak to a stand-in: here, to relays. */
test('the commands, asked of relays', async t => {
  const tree = await startTree(t, { relays: RELAYS, absent: ['sub'] })
  const root = tree.relay('root')
  const sender = tree.member('node-r1')
  const inFolder = (name: string) => join(tree.folder, name)
  const ask = (...args: readonly string[]) => treeline(t, [...args, '--server', root.localUrl])
  const share = (target: string, fileId: string, ...more: readonly string[]) =>
    ask(
      'share',
      target,
      fileId,
      inFolder('data'),
      '--ttl',
      '1h',
      '--source',
      'node-r1',
      '--key',
      sender.keyFile,
      ...more
    )
  const content = randomBytes(200_000)
  await writeFile(inFolder('data'), content)

  await t.test('outbox: list, retry, drop', async () => {
    const shared = await share('node-s1', 'waits')
    assert.equal(shared.code, 0, shared.stderr)
    assert.match(shared.stdout, /^waits for node-s1: accepted, pending/)
    const list = async () => JSON.parse((await ask('outbox', 'list', '--json')).stdout)
    const [entry, ...more] = await list()
    assert.deepEqual(
      [entry.target, entry.source, entry.file_id, entry.state, more],
      ['node-s1', 'node-r1', 'waits', 'pending', []]
    )
    assert.match((await ask('outbox', 'list')).stdout, /pending +node-s1\/node-r1\/waits +195\.3 KiB/)
    for (const which of [[], [entry.id]]) assert.equal((await ask('outbox', 'retry', ...which)).code, 0)
    assert.equal((await ask('outbox', 'drop', entry.id)).code, 0)
    assert.deepEqual(await list(), [])
    const again = await ask('outbox', 'drop', entry.id)
    assert.equal(again.code, 1)
    assert.match(again.stderr, /no outbox entry/)
  })

  await tree.restart('sub')

  await t.test('nodes: list, show, route, import', async () => {
    const nodes = JSON.parse((await ask('nodes', 'list', '--json')).stdout)
    assert.deepEqual(
      nodes.map(({ id }: { id: string }) => id),
      ['node-fails', 'node-r1', 'node-r2', 'node-s1', 'root', 'sub']
    )
    assert.match((await ask('nodes', 'show', 'node-s1')).stdout, /^policy_server +sub$/m)
    assert.match((await ask('nodes', 'route', 'node-s1')).stdout, /^node-s1 +down to sub$/m)
    const list = JSON.parse(await readFile(join(root.directory, 'nodeslist.json'), 'utf8'))
    const importList = async (change: object) => {
      await writeFile(inFolder('new.json'), JSON.stringify({ ...list, ...change }))
      return treeline(t, ['nodes', 'import', inFolder('new.json'), '--config', root.directory])
    }
    const cycle = await importList({ sub: { hostname: 'sub', 'policy-server': 'node-s1' } })
    assert.equal(cycle.code, 1)
    assert.match(cycle.stderr, /form a cycle\nThe former files are in place again\.\n$/)
    assert.equal((await ask('nodes', 'show', 'node-s1')).code, 0)
    const more = await importList({ 'node-new': { hostname: 'new', 'policy-server': 'root' } })
    assert.equal(more.code, 0, more.stderr)
    assert.match((await ask('nodes', 'route', 'node-new')).stdout, /^node-new +here$/m)
    assert.equal((await importList({})).code, 0)
  })

  await t.test('run in batches, and runs: list, show, events, cancel', async () => {
    const run = await ask('run', '--all', '--batch', '50%')
    assert.equal(run.code, 1)
    assert.match(run.stdout, /^node-s1: agent of node-s1\.example\.test$/m)
    assert.match(run.stderr, /^node-fails: .*exit code 3$/m)
    assert.match(run.stdout, /5 of 6 done, 1 failed\n$/)
    const started = await ask('run', 'node-r2', '--async')
    const id = started.stdout.trim()
    assert.match(id, /^[0-9A-Z]{26}$/, started.stderr)
    const events = await ask('runs', 'events', id)
    assert.match(events.stdout, /"event":"end"/, events.stderr)
    assert.match((await ask('runs', 'show', id)).stdout, /^node-r2 .*done/m)
    assert.match((await ask('runs', 'list')).stdout, new RegExp(`^${id} +done `, 'm'))
    assert.equal((await ask('runs', 'cancel', id)).code, 0)
  })

  await t.test('share and fetch, sealed for one reader', async () => {
    assert.equal((await treeline(t, ['key', 'generate', '--type', 'seal', '--out', tree.folder])).code, 0)
    const sealed = await share('node-r2', 'secret', '--seal', inFolder('treeline-seal.pub'))
    assert.match(sealed.stdout, /^secret for node-r2: stored/, sealed.stderr)
    const fetch = (name: string, ...more: readonly string[]) =>
      ask('fetch', 'node-r1', 'secret', inFolder(name), '--target', 'node-r2', ...more)
    assert.equal((await fetch('opened', '--open-key', inFolder('treeline-seal.key'))).code, 0)
    assert.deepEqual(await readFile(inFolder('opened')), content)
    assert.equal((await fetch('closed')).code, 2)
    assert.equal((await fetch('closed', '--keep-sealed')).code, 0)
    assert.equal((await readFile(inFolder('closed'))).includes(content.subarray(0, 64)), false)
  })

  await t.test("agents' methods, as a command and as shell functions", async () => {
    const shell = (id: string, ...args: readonly string[]) => {
      const env = {
        TREELINE_RELAY: `${root.localUrl}/rudder/relay-api/1`,
        TREELINE_NODE_ID: id,
        TREELINE_KEY: sender.keyFile
      }
      return startProcess(t, 'sh', ['-uc', `. '${FUNCTIONS}'; "$@"`, 'sh', ...args], env).ended
    }
    const command = (id: string, name: string, ...args: readonly string[]) => {
      const own = name === 'sharedfile_to_node' ? ['--source', id, '--key', sender.keyFile] : ['--target', id]
      return startTreeline(t, ['method', name, ...args, ...own, '--server', root.localUrl]).ended
    }
    for (const [kind, method] of Object.entries({ shell, command })) {
      for (const [result, code] of [
        ['repaired', 10],
        ['kept', 0]
      ] as const) {
        const calls = [
          await method('node-r1', 'sharedfile_to_node', 'node-r2', kind, inFolder('data'), '1 day'),
          await method('node-r2', 'sharedfile_from_node', 'node-r1', kind, inFolder(`${kind}-copy`)),
          await method('node-r2', 'sharedfile_from_any', kind, inFolder(`${kind}-all`))
        ]
        for (const { code: found, stdout, stderr } of calls)
          assert.deepEqual([found, stdout], [code, `result_${result}\n`], stderr)
      }
      assert.deepEqual(await readFile(join(inFolder(`${kind}-all`), 'node-r1')), content)
    }
  })
})
