import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { chmod, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { treelineCommand } from '../../demo/relay-process.js'
import { eventually } from '../support/eventually.js'
import { type Running, startProcess } from '../support/machine/treeline-command.js'
import { ask, postForm } from '../support/network/http.js'
import { assertServes } from '../support/relays/relay-health.js'
import { type RunningTree, startTree } from '../support/relays/relay-tree.js'
import { editNodesList } from '../support/relays/tree-files.js'
import { type SignedFile, signContent } from '../support/work/signed-files.js'

/** `sub` is away, so what is for `s1` goes to the outbox. */
const RELAYS = [
  { id: 'root', under: 'root', nodes: ['n1', 'n2'] },
  { id: 'sub', under: 'root', nodes: ['s1'] }
]
const LARGE = Buffer.alloc(1024 * 1024, 'x')

test('folders of the relay that vanish while it runs are made again, or named in a 503; nothing acknowledged is lost', async t => {
  const tree = await startTree(t, { relays: RELAYS, absent: ['sub'] })
  const root = tree.relay('root')
  const { sharedFilesPath, storagePath } = root
  const sender = tree.member('n2')
  const put = (file: SignedFile) => ask(root, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })
  const run = () => postForm(root, '/remote-run/nodes/n1', {})
  const statusOf = async (part: string) => JSON.parse((await ask(root, '/system/status')).text).data[part]
  const isReady = async () => (await ask(root, '/v1/system/ready')).status === 200
  const kept = signContent('n1', sender, 'kept', 'was there before')
  assert.equal((await put(kept)).status, 200)

  await t.test('those within shared_files.path and storage.path are made again', async () => {
    const files = ['small', LARGE].flatMap((content, index) => [
      signContent('n1', sender, `here${index}`, content),
      signContent('s1', sender, `above${index}`, content)
    ])
    for (const file of files) {
      for (const name of ['.incoming~', '.outbox~', 'n1']) {
        await rm(join(sharedFilesPath, name), { recursive: true, force: true })
      }
      const answer = await put(file)
      assert.equal(answer.status, file.path.includes('/s1/') ? 202 : 200, answer.text)
    }
    await rm(join(storagePath, 'runs'), { recursive: true })
    assert.equal((await run()).status, 200)
    assert.ok(existsSync(join(storagePath, 'runs')))
  })

  await t.test('a file that is gone from the outbox is failed, and holds up no other', async () => {
    type Entry = { readonly state: string; readonly last_error?: string }
    const entries = async (): Promise<Entry[]> => JSON.parse((await ask(root, '/outbox')).text).entries
    await eventually('the one whose file was removed is failed', async () => {
      const found = await entries()
      const failed = found.filter(({ state }) => state === 'failed')
      if (found.length === 2 && failed.length === 1 && /its file was removed/.test(failed[0]?.last_error ?? ''))
        return true
      await postForm(root, '/outbox/retry', {}) // after the look: a failed entry becomes a pending one by it
      return false
    })
  })

  await t.test('shared_files.path: 503 that names it, and all is there once it is back', async () => {
    const away = `${sharedFilesPath}.away`
    assert.equal((await put(kept)).status, 200)
    await rename(sharedFilesPath, away)
    for (const emptyFolder of [false, true]) {
      if (emptyFolder) await mkdir(sharedFilesPath) // as where its disk is not mounted
      for (const target of ['n1', 's1']) {
        const answer = await put(signContent(target, sender, 'new', 'content'))
        assert.equal(answer.status, 503, answer.text)
        assert.match(answer.text, /shared_files\.path \(\S+\) is not there any more; put it back, or mount its disk/)
      }
      const read = await ask(root, kept.path)
      assert.equal(read.status, 503, read.text)
      assert.match(read.text, /shared_files\.path \(\S+\) is not there any more/)
      if (emptyFolder)
        assert.deepEqual(
          readdirSync(sharedFilesPath).filter(name => name !== '.probe~'),
          []
        )
      else assert.ok(!existsSync(sharedFilesPath))
    }
    assert.ok(!(await isReady()))
    assert.match((await statusOf('storage')).details, /^shared_files\.path \(\S+\) is not there any more/)
    await rm(sharedFilesPath, { recursive: true })
    await rename(away, sharedFilesPath)
    assert.equal((await ask(root, kept.path)).text, 'was there before')
    await assertServes(tree, root, 'n1', 'n2')
  })

  await t.test(
    'a link in the place of a folder of a node: 503 that names it, and nothing is written where it leads',
    async () => {
      const [files, elsewhere] = [join(sharedFilesPath, 'n1/files'), join(tree.folder, 'elsewhere')]
      await mkdir(join(elsewhere, 'root'), { recursive: true })
      await rename(files, `${files}.away`)
      await symlink(elsewhere, files)
      const refused = await put(signContent('n1', tree.member('n1'), 'led', 'content'))
      assert.equal(refused.status, 503, refused.text)
      assert.match(refused.text, /shared_files\.path \(\S+\): \S+n1\/files is a symbolic link, and has to be a folder/)
      assert.deepEqual(readdirSync(elsewhere), ['root'])
      await rm(files)
      await rename(`${files}.away`, files)
      assert.equal((await put(signContent('n1', tree.member('n1'), 'led', 'content'))).status, 200)
    }
  )

  await t.test('a file in the place of a folder within storage.path is named, until it is gone', async () => {
    const runs = join(storagePath, 'runs')
    await rename(runs, `${runs}.away`)
    await writeFile(runs, '')
    const refused = await run()
    assert.equal(refused.status, 503, refused.text)
    assert.match(refused.text, /storage\.path .*runs/)
    await rm(runs)
    assert.equal((await run()).status, 200)
    await rm(runs, { recursive: true })
    await rename(`${runs}.away`, runs)
  })

  await t.test('state.db-wal: 503 that names it, and a stop still saves what it had', async () => {
    const file = signContent('n1', sender, 'logged', 'content')
    assert.equal((await put(file)).status, 200)
    await rm(join(storagePath, 'state.db-wal'))
    const refused = await put(signContent('n1', sender, 'unrecorded', 'content'))
    assert.equal(refused.status, 503, refused.text)
    assert.match(refused.text, /state\.db-wal in storage\.path \(\S+\) is not there any more/)
    assert.match((await statusOf('database')).details, /state\.db-wal in storage\.path/)
    await tree.processes.get('root')?.stop()
    await tree.restart('root')
    assert.equal((await ask(root, file.path)).text, 'content')
  })

  await t.test('storage.path: 503 that names it, and what was acknowledged is there after a restart', async () => {
    const away = `${storagePath}.away`
    await rename(storagePath, away)
    const refused = [await run(), await put(signContent('n1', sender, 'unrecorded', 'content'))]
    for (const answer of refused) {
      assert.equal(answer.status, 503, answer.text)
      assert.match(answer.text, /state\.db in storage\.path \(\S+\) is not there any more/)
    }
    assert.match((await statusOf('database')).details, /state\.db in storage\.path/)
    assert.ok(!(await isReady()))
    assert.ok(!existsSync(storagePath))
    await rename(away, storagePath)
    assert.equal((await run()).status, 200)
    await tree.processes.get('root')?.stop()

    const mounted = `${sharedFilesPath}.mounted`
    await rename(sharedFilesPath, mounted)
    await assert.rejects(tree.restart('root'), ({ message }) => {
      assert.match(
        message,
        /cannot start: shared_files\.path \(\S+\) is not the folder that it was.*Is its disk mounted/
      )
      return true
    })
    await rm(sharedFilesPath, { recursive: true })
    await rename(mounted, sharedFilesPath)
    await tree.restart('root')
    assert.ok(await isReady())
    assert.equal((await ask(root, kept.path)).text, 'was there before')
    assert.equal(await readFile(join(sharedFilesPath, 'n1/files/n2/kept'), 'utf8'), 'was there before')
  })
})

/** Starts root as a process that may do no more to files than their modes allow, as that of any other user. */
async function restartWithoutPrivileges(t: TestContext, tree: RunningTree): Promise<Running> {
  const { program, args } = treelineCommand(['serve', '--config', tree.relay('root').directory])
  const relay =
    process.geteuid?.() === 0
      ? startProcess(t, 'setpriv', ['--bounding-set=-dac_override,-dac_read_search', program, ...args], {})
      : startProcess(t, program, args, {})
  await relay.printed('"msg":"ready"')
  return relay
}

test('what the user of the relay may not write to is named in a 503, in the status and at a start', async t => {
  const tree = await startTree(t, { relays: RELAYS, absent: ['root', 'sub'] })
  const root = tree.relay('root')
  const { sharedFilesPath, storagePath } = root
  const relay = await restartWithoutPrivileges(t, tree)
  const put = (name: string) => {
    const file = signContent('n1', tree.member('n2'), name, 'content')
    return ask(root, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })
  }
  const run = () => postForm(root, '/remote-run/nodes/n1', {})
  assert.equal((await put('kept')).status, 200)
  assert.equal((await run()).status, 200)
  const cases = [
    [
      join(sharedFilesPath, 'n1/files/n2'),
      () => put('one'),
      /may not use \S*n1\/files\/n2\S* in shared_files\.path \(/
    ],
    [join(sharedFilesPath, '.incoming~'), () => put('two'), /may not use \S*\.incoming~\S* in shared_files\.path \(/],
    [join(storagePath, 'runs'), run, /may not use \S*runs\S* in storage\.path \(/]
  ] as const
  for (const [path, request, message] of cases) {
    await chmod(path, 0o500)
    const refused = await request()
    assert.equal(refused.status, 503, `${path}: ${refused.text}`)
    assert.ok(Number(refused.headers['retry-after']) > 0)
    assert.match(refused.text, message)
    await chmod(path, 0o700)
    assert.ok((await request()).status < 300, path)
  }
  for (const [setting, path] of [
    ['shared_files.path', sharedFilesPath],
    ['storage.path', storagePath]
  ] as const) {
    await chmod(path, 0o500)
    await eventually(`${setting} in the status`, async () => {
      const { storage } = JSON.parse((await ask(root, '/system/status')).text).data
      const { status } = await ask(root, '/v1/system/ready')
      return (
        status === 500 &&
        /may not use \S+ in /.test(storage.details ?? '') &&
        storage.details.includes(` in ${setting} (`)
      )
    })
    await chmod(path, 0o700)
  }
  assert.equal((await put('three')).status, 200)
  relay.child.kill('SIGTERM')
  assert.equal((await relay.ended).code, 0)

  await chmod(join(storagePath, 'state.db'), 0o400)
  const reading = await restartWithoutPrivileges(t, tree)
  for (const refused of [await put('four'), await run()]) {
    assert.equal(refused.status, 503, refused.text)
    assert.match(refused.text, /^storage\.path \(\S+\) is on a file system that is read-only .*or correct its owner/)
  }
  const { database } = JSON.parse((await ask(root, '/system/status')).text).data
  assert.match(database.details, /may not write state\.db, or the files state\.db-wal and state\.db-shm beside it/)
  assert.equal((await ask(root, '/v1/system/ready')).status, 500)
  assert.equal((await ask(root, '/shared-files/n1/n2/kept')).text, 'content')
  reading.child.kill('SIGTERM')
  await reading.ended
  for (const end of ['', '-wal', '-shm']) await chmod(join(storagePath, `state.db${end}`), 0o600) // made like state.db
  await restartWithoutPrivileges(t, tree)
  assert.equal((await put('four')).status, 200)
})

test('a relay whose working folder is gone, at its start or while it runs, takes a changed tree', async t => {
  const tree = await startTree(t, { relays: RELAYS, absent: ['root', 'sub'] })
  const root = tree.relay('root')
  const folder = join(tree.folder, 'gone')
  const { program, args } = treelineCommand(['serve', '--config', root.directory])
  const quoted = [program, ...args].map(word => `'${word}'`).join(' ')
  const begin = (removed: string) =>
    startProcess(t, '/bin/sh', ['-c', `mkdir ${folder}; cd ${folder}; ${removed}; exec ${quoted}`], {})
  const knows = async (id: string) => (await ask(root, `/nodes/${id}`)).status === 200
  const add = (id: string) =>
    editNodesList(root, nodes => {
      if (nodes.n1 !== undefined) nodes[id] = { ...nodes.n1, hostname: `${id}.example.test` }
    })

  const without = begin(`rmdir ${folder}`)
  await without.printed('"msg":"ready"')
  assert.ok(await knows('n2'))
  without.child.kill('SIGTERM')
  assert.equal((await without.ended).code, 0)

  const within = begin('true')
  await within.printed('"msg":"ready"')
  await rm(folder, { recursive: true })
  await add('n3')
  assert.equal((await postForm(root, '/system/reload', {})).status, 200)
  await eventually('the new node', () => knows('n3'))
  assert.ok(!within.soFar().includes('uv_cwd'))
})
