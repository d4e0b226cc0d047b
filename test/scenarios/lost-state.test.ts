import assert from 'node:assert/strict'
import { chown, copyFile, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { createMemberRepository } from '../../src/storage/sqlite/sqlite-members.js'
import { openDatabase } from '../../src/storage/sqlite-engine/database.js'
import { eventually } from '../support/eventually.js'
import { AS_ROOT, IS_ROOT, ranAsRoot } from '../support/machine/own-namespace.js'
import { treeline } from '../support/machine/treeline-command.js'
import { getJson, type Machine, startJoinedTree, succeed } from '../support/relays/joined-tree.js'

/** Without what only the lost database knew. */
async function membersIn(file: string) {
  const database = openDatabase(file, 'state')
  try {
    const repository = createMemberRepository(database)
    const members = await repository.members('', 100)
    return await Promise.all(
      members.map(async ({ tokenId, joinedAtMs, ...member }) => ({
        ...member,
        certificates: (await repository.certificatesOf(member.id, Date.now())).map(({ fingerprint }) =>
          fingerprint.toString('hex')
        )
      }))
    )
  } finally {
    database.close()
  }
}

/** Those that can still be used. */
async function tokensIn(file: string): Promise<string[]> {
  const database = openDatabase(file, 'state')
  try {
    const tokens = await createMemberRepository(database).tokens()
    return tokens.filter(({ revokedAtMs }) => revokedAtMs === undefined).map(({ id }) => id)
  } finally {
    database.close()
  }
}

async function backUp(file: string, to: string): Promise<void> {
  const database = openDatabase(file, 'state')
  try {
    await database.backup(to)
  } finally {
    database.close()
  }
}

async function replaceDatabase(file: string, by: string): Promise<void> {
  for (const suffix of ['-wal', '-shm']) await rm(file + suffix, { force: true })
  await copyFile(by, file)
}

function untilLinked(root: Machine, id: string): Promise<unknown> {
  return eventually(`the link of ${id}`, async () => {
    const { result } = (await getJson(root, '/v1/relay/links')) as { result: { id: string }[] }
    return result.some(link => link.id === id)
  })
}

test('a root whose database is damaged or gone says so, and gets its members back from the nodes list', async t => {
  if (await ranAsRoot(t)) return
  const tree = await startJoinedTree(t)
  const { root, rootProcess } = tree
  const [relay, node] = [await tree.machine('relay-a'), await tree.machine('node-1')]
  await succeed(tree.join(relay, await tree.token('--relay')))
  const removed = await tree.machine('removed')
  await succeed(tree.join(removed, await tree.token('--node')))
  const state = join(root.folder, 'data/state.db')
  const backup = join(root.folder, 'backup.db')
  await backUp(state, backup)
  await succeed(tree.ask(root, 'nodes', 'remove', 'removed'))
  await succeed(tree.join(node, await tree.token('--node')))
  await tree.serve(relay)
  await untilLinked(root, 'relay-a')
  const list = join(root.folder, 'data/tree/nodeslist.json')
  const waiting = join(root.folder, 'shared-files/.outbox~/01ARZ3NDEKTSV4RRFFQ69G5FAV')

  await t.test('while it runs, nothing is restored', async () => {
    const refused = await tree.ask(root, 'nodes', 'restore')
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /^treeline: another Treeline is running with storage\.path/)
  })
  await rootProcess.stop()
  const before = await membersIn(state)
  const listBefore = await readFile(list, 'utf8')
  assert.equal(before.length, 3)

  await t.test('over members that are there, nothing is restored', async () => {
    const refused = await tree.ask(root, 'nodes', 'restore')
    assert.equal(refused.code, 2)
    assert.match(refused.stderr, /there are 3 members already/)
  })

  await t.test(
    'older than what it handed down: it does not start, and takes the newer members from the list',
    async () => {
      await replaceDatabase(state, backup)
      const { code, stderr } = await treeline(t, ['serve', '--config', root.folder])
      assert.equal(code, 3)
      assert.match(stderr, /cannot start: state\.db .* is older than the tree .*Run "treeline nodes restore --config/)
      assert.equal(await readFile(list, 'utf8'), listBefore)
      const restored = await succeed(tree.ask(root, 'nodes', 'restore'))
      assert.match(restored.stdout, /^3 members are restored/)
      assert.deepEqual(await membersIn(state), before, 'the one that was removed is none again')
      assert.deepEqual(await tokensIn(state), [])
    }
  )

  await t.test('damaged behind its first pages: the same is said', async () => {
    const whole = await readFile(state)
    await writeFile(state, Buffer.from(whole).fill('x', 3 * 4_096))
    const { code, stderr } = await treeline(t, ['serve', '--config', root.folder])
    await writeFile(state, whole)
    assert.equal(code, 3)
    assert.match(stderr, /cannot use the database \S+state\.db: it is damaged.*backup.*treeline nodes restore/)
  })

  await t.test('damaged: it does not start, and says what to do', async () => {
    await writeFile(state, Buffer.alloc(100_000, 'x'))
    const { code, stderr } = await treeline(t, ['serve', '--config', root.folder])
    assert.equal(code, 3)
    assert.match(stderr, /cannot use the database \S+state\.db: it is damaged.*backup.*treeline nodes restore/)
    assert.equal((await readFile(state)).length, 100_000, 'it is left for whoever can repair it')
  })

  await t.test('gone: it does not start, the list stays, and what waited is kept', async () => {
    for (const suffix of ['', '-wal', '-shm']) await rm(state + suffix, { force: true })
    await writeFile(waiting, 'waited')
    const { code, stderr } = await treeline(t, ['serve', '--config', root.folder])
    assert.equal(code, 3)
    assert.match(stderr, /cannot start: the members of this tree are gone .*"treeline nodes restore --config/)
    assert.equal(await readFile(list, 'utf8'), listBefore)
    const lost = join(root.folder, 'shared-files/lost~/01ARZ3NDEKTSV4RRFFQ69G5FAV')
    const there = await Promise.any([readFile(lost, 'utf8'), readFile(waiting, 'utf8')])
    assert.equal(there, 'waited')
  })

  await t.test('as root, nothing is restored in a folder of somebody else', { skip: !IS_ROOT && AS_ROOT }, async () => {
    const data = join(root.folder, 'data')
    await chown(data, 65_534, 65_534)
    const refused = await tree.ask(root, 'nodes', 'restore')
    assert.equal(refused.code, 2)
    assert.match(refused.stderr, /data belongs to user 65534, .*run this as the user of the relay/)
    await chown(data, 0, 0)
  })

  await t.test('restored: the same members, who are linked as before, and what waited is in lost~', async () => {
    const restored = await succeed(tree.ask(root, 'nodes', 'restore'))
    assert.match(restored.stdout, /^3 members are restored/)
    assert.deepEqual(await membersIn(state), before)
    const stored = join(root.folder, 'data/topology.db')
    await writeFile(stored, (await readFile(stored)).fill(0xff)) // only a copy
    const serving = await tree.serve(root)
    assert.equal(await readFile(list, 'utf8'), listBefore)
    await untilLinked(root, 'relay-a')
    const { nodes } = (await getJson(root, '/nodes')) as { nodes: { id: string }[] }
    assert.deepEqual(nodes.map(({ id }) => id).sort(), ['node-1', 'relay-a', 'root'])
    assert.ok(
      serving.log.some(line =>
        line.includes('stored tree was damaged, or of a newer version; imported again from the nodes list')
      )
    )
    assert.equal(await readFile(join(root.folder, 'shared-files/lost~/01ARZ3NDEKTSV4RRFFQ69G5FAV'), 'utf8'), 'waited')
    const { data } = (await getJson(root, '/system/status')) as { data: { lost_files: object } }
    assert.deepEqual(data.lost_files, { folder: join(root.folder, 'shared-files/lost~'), files: 1, bytes: 6 })
  })
})
