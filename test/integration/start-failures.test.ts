import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, cp, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import { lockFolder } from '../../src/storage/folders/instance-lock.js'
import { eventually } from '../support/eventually.js'
import { treeline } from '../support/machine/treeline-command.js'
import { ask } from '../support/network/http.js'
import { startTree } from '../support/relays/relay-tree.js'
import { editConfig } from '../support/relays/tree-files.js'

test('a relay whose port is taken ends, and says which setting it is', async t => {
  const tree = await startTree(t, { relays: [{ id: 'root', under: 'root', nodes: [] }], absent: ['root'] })
  const root = tree.relay('root')
  for (const [setting, url] of [
    ['general.listen', root.localUrl],
    ['general.https_listen', root.url]
  ] as const) {
    await t.test(setting, async () => {
      const { port } = new URL(url)
      const taken = createServer().listen(Number(port), '127.0.0.1')
      await once(taken, 'listening')
      try {
        const says = new RegExp(`cannot start: ${setting}: cannot listen on 127.0.0.1:${port}: another program`)
        await assert.rejects(tree.restart('root'), says)
      } finally {
        taken.close()
        await once(taken, 'close')
      }
    })
  }
  const running = await tree.restart('root')

  await t.test('a second relay on the same shared files, and another node on the same storage', async () => {
    const text = await readFile(join(root.directory, 'main.conf'), 'utf8')
    const copy = join(tree.folder, 'copy')
    await mkdir(copy)
    const start = async (changed: string) => {
      assert.notEqual(changed, text)
      await writeFile(join(copy, 'main.conf'), changed)
      return treeline(t, ['serve', '--config', copy])
    }
    const lock = join(root.sharedFilesPath, '.lock~')
    await rm(lock)
    await eventually('the lock is made anew', () => existsSync(lock))
    const second = await start(text.replace(root.storagePath, join(copy, 'storage')))
    assert.equal(second.code, 3)
    assert.match(second.stderr, /another Treeline is running with shared_files.path = /)
    // Another process locks a file that takes the place of the lock.
    const place = join(tree.folder, 'place')
    const unlock = lockFolder(place, 'shared_files.path', 0o700, '.lock~')
    await rename(join(place, '.lock~'), lock)
    assert.equal(await running.ended, 3, 'it tells that it no longer holds the folder')
    unlock()
    const other = await start(
      text.replace('node_id = "root"', 'node_id = "other"').concat('\n[output.upstream]\nhost = "127.0.0.1"\n')
    )
    assert.equal(other.code, 3)
    assert.match(other.stderr, /storage.path = .* belongs to the node root, and this one is other/)
    const nested = await start(text.replace(root.sharedFilesPath, join(root.storagePath, 'runs/files')))
    assert.equal(nested.code, 3)
    assert.match(nested.stderr, /cannot start: shared_files.path = .*files lies in storage.path = /)
    const checked = await treeline(t, ['serve', '--config', copy, '--test'])
    assert.equal(checked.code, 2)
    assert.match(checked.stderr, /shared_files.path = .*files lies in storage.path = .*: give each a folder/)
  })

  await t.test('a shared folder with what the relay keeps to itself', async () => {
    const text = await readFile(join(root.directory, 'main.conf'), 'utf8')
    const copy = await mkdtemp(join(tree.folder, 'shared-'))
    const keys = await mkdtemp(join(tree.folder, 'keys-'))
    const link = join(tree.folder, 'link-to-copy')
    await symlink(copy, link)
    await cp(root.keyFile, join(keys, 'tls.key'))
    const check = async (path: string, changed: string, ...more: string[]) => {
      const place = /^\[shared_folder\]\npath = .*$/m
      const section = `[shared_folder]\npath = ${JSON.stringify(path)}`
      const conf = place.test(changed) ? changed.replace(place, section) : `${changed}\n${section}\n`
      await writeFile(join(copy, 'main.conf'), conf)
      return treeline(t, ['serve', '--config', copy, ...more])
    }
    const ofConfiguration = /warning: shared_folder.path = .* contains the configuration in .* gives to nobody/
    const elsewhere = text.replace(root.keyFile, join(keys, 'tls.key'))
    assert.notEqual(elsewhere, text)
    const isStorage = /storage.path = .* is shared_folder.path as well|shared_folder.path = .* storage.path/
    for (const [path, conf, why, code] of [
      [copy, text, ofConfiguration, 0],
      [link, text, ofConfiguration, 0],
      [tree.folder, text, ofConfiguration, 0],
      [keys, elsewhere, /warning: shared_folder.path = .* contains general.https_key_file .*tls.key, which it/, 0],
      [root.storagePath, text, isStorage, 2],
      [join(root.sharedFilesPath, 'in-it'), text, /shared_folder.path = .* lies in shared_files.path = /, 2]
    ] as const) {
      const checked = await check(path, conf, '--test')
      assert.match(checked.stderr, why)
      assert.equal(checked.code, code)
    }
    assert.equal((await check(link, text, '--test', '--strict')).code, 2)
    const start = await check(root.storagePath, text)
    assert.match(start.stderr, /cannot start: .*shared_folder.path/)
    assert.equal(start.code, 3)
    const within = await check(join(copy, 'shared-folder'), text, '--test')
    assert.doesNotMatch(within.stderr, /shared_folder.path = /)
    assert.equal(within.code, 0)
  })

  await t.test('a folder that cannot be made is named, with its setting and what is in the way', async () => {
    const text = await readFile(join(root.directory, 'main.conf'), 'utf8')
    const link = join(tree.folder, 'link')
    const copy = await mkdtemp(join(tree.folder, 'unmade-'))
    await symlink('/nonexistent', link)
    for (const [setting, path, place, why] of [
      [
        'storage.path',
        root.storagePath,
        '/proc/treeline-test/a',
        /the folder \/proc\/treeline-test cannot be made: ENOENT/
      ],
      [
        'shared_files.path',
        root.sharedFilesPath,
        join(link, 'a'),
        /link cannot be made: it is a symbolic link to \/nonexistent,/
      ]
    ] as const) {
      await writeFile(join(copy, 'main.conf'), text.replace(`"${path}"`, JSON.stringify(place)))
      const start = await treeline(t, ['serve', '--config', copy])
      assert.equal(start.code, 3)
      assert.ok(start.stderr.includes(`cannot start: ${setting} = ${place}: `), start.stderr)
      assert.match(start.stderr, why)
    }
    const checked = await treeline(t, ['serve', '--config', copy, '--test'])
    assert.ok(
      checked.stderr.includes(`shared_files.path ${join(link, 'a')}: the folder ${link} cannot be made`),
      checked.stderr
    )
    assert.equal(checked.code, 2)
  })

  await t.test('keys that others may read are warned of, which --strict takes for an error', async () => {
    await chmod(root.keyFile, 0o644)
    const test = (...more: string[]) => treeline(t, ['serve', '--config', root.directory, '--test', ...more])
    const [told, strict] = await Promise.all([test(), test('--strict')])
    assert.match(
      told.stderr,
      /warning: general.https_key_file .* has mode 0644: every user of this machine may read it/
    )
    assert.deepEqual([told.code, strict.code], [0, 2])

    const tokenFile = join(tree.folder, 'token')
    await writeFile(tokenFile, 'too-short\n')
    await chmod(tokenFile, 0o644)
    const commands = [
      ['join', 'https://127.0.0.1:1', '--token-file', tokenFile],
      ['nodes', 'list', '--server', 'http://127.0.0.1:1', '--token-file', tokenFile]
    ]
    for (const { stderr } of await Promise.all(commands.map(args => treeline(t, args)))) {
      assert.match(
        stderr,
        /^treeline: warning: --token-file .*token has mode 0644: every user of this machine may read it/
      )
    }
  })

  await t.test('a shared folder that contains the relay gives its other files alone', async () => {
    await editConfig(root, text =>
      text.replace(/^\[shared_folder\]\npath = .*$/m, `[shared_folder]\npath = "${tree.folder}"`)
    )
    await tree.restart('root')
    await writeFile(join(tree.folder, 'open'), 'for all')
    const get = async (path: string) => {
      const { status, text } = await ask(root, `/rudder/relay-api/shared-folder/${relative(tree.folder, path)}`)
      return [status, status === 200 ? text : '']
    }
    assert.deepEqual(await get(join(tree.folder, 'open')), [200, 'for all'])
    const own = ['main.conf', 'logging.conf'].map(name => join(root.directory, name))
    for (const path of [
      ...own,
      root.keyFile,
      join(root.storagePath, 'state.db'),
      join(root.sharedFilesPath, '.lock~')
    ]) {
      assert.ok(existsSync(path), path)
      assert.deepEqual(await get(path), [403, ''], path)
    }
  })
})
