import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { treeline } from '../support/machine/treeline-command.js'
import { ask } from '../support/network/http.js'
import { clientTokenLine, startClientOf } from '../support/relays/clients.js'
import { startTree } from '../support/relays/relay-tree.js'

interface ShownClient {
  readonly client_key: string
  readonly client_id: string
  readonly remote_address: string
  readonly connected_at: string
  readonly path: readonly string[]
  readonly stale_since?: string
}

/** root – middle – low, and a second branch: clients of each key may register everywhere. */
async function startKeyTree(t: TestContext) {
  const byLink = true
  const tree = await startTree(t, {
    relays: [
      { id: 'root', under: 'root', nodes: ['node-r1'] },
      { id: 'middle', under: 'root', nodes: ['node-m1'], byLink },
      { id: 'low', under: 'middle', nodes: ['node-l1'], byLink },
      { id: 'other', under: 'root', nodes: ['node-o1'], byLink }
    ],
    absent: ['root', 'middle', 'low', 'other'],
    settings: { tokens: ['clients_file = "clients"'] }
  })
  const ids = ['root', 'middle', 'low', 'other']
  for (const id of ids) {
    await writeFile(join(tree.relay(id).directory, 'clients'), clientTokenLine('git') + clientTokenLine('svn'))
  }
  await Promise.all(ids.map(id => tree.restart(id)))
  const page = async (relay: string, query = '') =>
    JSON.parse((await ask(tree.relay(relay), `/v1/relay/clients${query}`)).text) as {
      readonly result: readonly ShownClient[]
      readonly next?: string
    }
  const list = async (relay = 'root') => (await page(relay)).result
  const show = (clients: readonly ShownClient[]) =>
    clients.map(({ client_key: key, client_id: id, path, stale_since: stale }) =>
      [key, id, ...path, ...(stale === undefined ? [] : ['away'])].join(' ')
    )
  const until = (expected: readonly string[], relay = 'root') =>
    eventually(`${expected.join(', ')} at ${relay}`, async () => {
      const clients = await list(relay)
      return show(clients).join() === expected.join() && clients
    })
  return { tree, page, list, show, until }
}

test('keys are known at each relay above, go with their clients, and come back with a relay', async t => {
  const { tree, page, show, until } = await startKeyTree(t)
  const low = await startClientOf(t, tree, { relay: 'low', key: 'git', id: 'one' })
  const [shown] = await until(['git one middle low'])
  await until(['git one low'], 'middle')
  await until(['git one'], 'low')
  assert.match(shown?.remote_address ?? '', /^127\.0\.0\.1:\d+$/)
  assert.ok(Date.parse(shown?.connected_at ?? '') <= Date.now())

  await t.test('the same key in another branch, and here', async () => {
    await startClientOf(t, tree, { relay: 'other', key: 'git', id: 'two' })
    await startClientOf(t, tree, { relay: 'root', key: 'git', id: 'three' })
    await startClientOf(t, tree, { relay: 'middle', key: 'svn', id: 'one' })
    await until(['git one middle low', 'git three', 'git two other', 'svn one middle'])
  })

  await t.test('pages', async () => {
    const names: string[] = []
    let query = '?limit=1'
    for (let pages = 0; pages < 4; pages += 1) {
      const { result, next } = await page('root', query)
      names.push(...show(result))
      query = `?limit=1&after=${encodeURIComponent(next ?? '')}`
      assert.equal(next === undefined, pages === 3)
    }
    assert.deepEqual(names, ['git one middle low', 'git three', 'git two other', 'svn one middle'])
  })

  await t.test('clients are removed from the root, and register again', async () => {
    const remove = async (path: string) => {
      const { status, text } = await ask(tree.relay('root'), `/v1/relay/clients/${path}`, { method: 'DELETE' })
      return status === 200 ? show(JSON.parse(text).result) : status
    }
    const all = ['git one middle low', 'git three', 'git two other', 'svn one middle']
    let before = await until(all)
    /** Waits until those that were removed have come from new addresses. */
    const again = async (...removed: readonly string[]) => {
      before = await eventually(`${removed.join(', ')} again`, async () => {
        const now = await until(all)
        const isNew = (name: string) => {
          const index = all.indexOf(name)
          return now[index]?.remote_address !== before[index]?.remote_address
        }
        return removed.every(isNew) && now
      })
    }
    assert.deepEqual(await remove('git'), all.slice(0, 3))
    await again(...all.slice(0, 3))
    assert.deepEqual(await remove('git?id=one'), ['git one middle low'])
    await again('git one middle low')
    assert.deepEqual(await remove('one'), ['git one middle low', 'svn one middle'], 'by the id alone')
    await again('git one middle low', 'svn one middle')
    for (const unknown of ['none', 'git?id=none', 'one?id=one', 'middle']) {
      assert.equal(await remove(unknown), 404, unknown)
    }
    const { stdout, stderr } = await treeline(t, [
      'links',
      'close',
      '--client',
      'svn',
      '--server',
      tree.relay('root').localUrl
    ])
    assert.match(stdout, /^closed: svn one from 127\S+ by middle\n$/, stderr)
    await again('svn one middle')
  })

  await t.test('a relay between is away, and comes back', async () => {
    const middle = tree.processes.get('middle')
    middle?.signal('SIGKILL')
    await middle?.ended
    const away = await until(['git one middle low away', 'git three', 'git two other', 'svn one middle away'])
    assert.ok(Date.parse(away[0]?.stale_since ?? '') <= Date.now())
    await tree.restart('middle')
    await until(['git one middle low', 'git three', 'git two other', 'svn one middle'])
  })

  await t.test('a client that stops is gone', async () => {
    low.child.kill('SIGTERM')
    await low.ended
    await until(['git three', 'git two other', 'svn one middle'])
  })

  await t.test('a relay that is told to stop ends at once', async () => {
    const other = tree.processes.get('other')
    other?.signal('SIGTERM')
    await other?.ended
    await until(['git three', 'git two other away', 'svn one middle'])
  })
})
