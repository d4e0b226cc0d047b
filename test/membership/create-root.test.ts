import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { createRoot } from '../../src/membership/root/create-root.js'
import { dataFolders } from '../../src/membership/setup/data-folders.js'
import { lockFolder } from '../../src/storage/folders/instance-lock.js'
import { openMembers } from '../support/parts/members.js'
import { temporaryFolder } from '../support/parts/neighbours.js'

function make(folder: string, data: string): Promise<void> {
  return createRoot({
    folder,
    addresses: [{ hostname: 'root.example', port: 443 }],
    listen: '127.0.0.1:3030',
    lifetimeMs: 3_600_000,
    takenOver: undefined,
    data: dataFolders(folder, data),
    command: '/bin/echo',
    program: ['treeline'],
    user: 'treeline',
    openRepository: openMembers,
    nowMs: Date.now()
  })
}

test('a new root takes no data of another node, of a relay at work, or of another root', async t => {
  const folder = await temporaryFolder(t)
  const { storage } = dataFolders(folder, join(folder, 'relay'))
  await mkdir(storage, { recursive: true })
  await writeFile(join(storage, 'node-id'), 'relay-a\n')
  await assert.rejects(make(join(folder, 'first'), join(folder, 'relay')), /belongs to the node relay-a/)
  assert.deepEqual((await readdir(storage)).sort(), ['lock.db', 'node-id'])

  const unlock = lockFolder(dataFolders(folder, join(folder, 'running')).storage)
  await assert.rejects(make(join(folder, 'second'), join(folder, 'running')), /another Treeline is running/)
  unlock()

  await make(join(folder, 'third'), join(folder, 'root'))
  await assert.rejects(
    make(join(folder, 'fourth'), join(folder, 'root')),
    /has members of another root, or of an init that was interrupted \(1\)/
  )
  const list = await readFile(join(folder, 'root', 'data', 'tree', 'nodeslist.json'), 'utf8')
  assert.deepEqual(Object.keys(JSON.parse(list)), ['root'])
})

test('files of an init that was interrupted are named, with what to do about them', async t => {
  const folder = await temporaryFolder(t)
  const begin = (name: string) => mkdir(join(folder, name), { recursive: true })
  for (const [name, message] of [
    ['ca.key', /ca\.key is there already, and empty, as after an interruption: remove it, and run this again$/],
    ['main.conf', /main\.conf is there already, and empty, as after an interruption: remove it/],
    ['tls.key', /tls\.key is empty: the command that made it was interrupted\. Remove it, and run this again$/],
    ['sign.key', /sign\.key is empty: the command that made it was interrupted\. Remove it, and run this again$/]
  ] as const) {
    await begin(name)
    await writeFile(join(folder, name, name), '')
    await assert.rejects(make(join(folder, name), join(folder, name, 'data')), message)
    await rm(join(folder, name, name))
    await make(join(folder, name), join(folder, name, 'data'))
  }
  await assert.rejects(
    make(join(folder, 'ca.key'), join(folder, 'other')),
    /main\.conf is there already: choose another --dir/
  )
})
