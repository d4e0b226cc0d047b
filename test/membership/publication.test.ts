import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Member } from '../../src/membership/members.js'
import { Publication, writeTreeFiles } from '../../src/membership/root/publication.js'
import { mountSmallDisk } from '../support/machine/small-disk.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'
import { joinAs, startMembers } from '../support/parts/members.js'

test('members that cannot be made the tree are known to be missing there, until they are', async t => {
  const { repository } = await startMembers(t)
  const folder = await temporaryFolder(t)
  const tree = join(folder, 'tree')
  await writeFile(tree, 'a file is in the place of the folder')
  let reloads = 0
  const publication = new Publication({
    repository,
    nodesListFile: join(tree, 'nodeslist.json'),
    nodesCertsFile: join(tree, 'allnodescerts.pem'),
    reload: async () => {
      reloads += 1
      return undefined
    },
    now: () => 0
  })
  assert.equal(await publication.isBehind(), true)
  assert.equal(publication.problem, undefined, 'nothing was tried')
  await assert.rejects(publication.publish())
  assert.notEqual(publication.problem, undefined)
  assert.equal(await publication.isBehind(), true)

  await rm(tree)
  await mkdir(tree)
  await publication.catchUp()
  assert.deepEqual([publication.problem, await publication.isBehind(), reloads], [undefined, false, 1])
  assert.ok(existsSync(join(tree, 'nodeslist.json')))
  await publication.catchUp()
  assert.equal(reloads, 1, 'nothing has changed')
  await repository.setPolicyServer(await repository.version(), 'root', 'root')
  assert.equal(await publication.isBehind(), true)
})

test('a disk that has room for a part of the list keeps the list that is there', async t => {
  const disk = await mountSmallDisk(t, 4)
  if (disk === undefined) return
  const { repository } = await startMembers(t)
  const tree = join(disk.path, 'tree')
  const nodesListFile = join(tree, 'nodeslist.json')
  const publication = new Publication({
    repository,
    nodesListFile,
    nodesCertsFile: join(tree, 'allnodescerts.pem'),
    reload: async () => undefined,
    now: () => 0
  })
  // All of them are one write.
  const members = Array.from({ length: 400 }, (_, number) => nodeUnderRoot(`node-${number}`))
  await repository.addMembers({ members, certificates: [] })
  await publication.publish()
  const list = await readFile(nodesListFile, 'utf8')
  const names = await readdir(tree)

  await repository.addMembers({ members: [nodeUnderRoot('another')], certificates: [] })
  await disk.fill(list.length / 2)
  await assert.rejects(publication.publish(), /ENOSPC/)
  assert.match(publication.problem ?? '', /^the disk that holds general\.nodes_list_file \(\S+\) is full; /)
  assert.equal(await readFile(nodesListFile, 'utf8'), list)
  assert.deepEqual(await readdir(tree), names)
  await disk.empty()
  await publication.catchUp()
  assert.ok('another' in JSON.parse(await readFile(nodesListFile, 'utf8')))
})

test('a member that joins while the files are written is in neither, or in the list alone', async t => {
  const root = await startMembers(t)
  await joinAs(root, 'early')
  const folder = await temporaryFolder(t)
  const files = { nodesListFile: join(folder, 'nodeslist.json'), nodesCertsFile: join(folder, 'allnodescerts.pem') }
  let hasJoined = false
  const repository = new Proxy(root.repository, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return async (...given: unknown[]) => {
        if (name === 'certificates' && !hasJoined) {
          hasJoined = true
          await joinAs(root, 'late')
        }
        return Reflect.apply(value, target, given)
      }
    }
  })
  const certificates = async () => (await readFile(files.nodesCertsFile, 'utf8')).split('BEGIN CERTIFICATE').length - 1
  await writeTreeFiles(repository, files, root.clock.nowMs)
  assert.deepEqual(Object.keys(JSON.parse(await readFile(files.nodesListFile, 'utf8'))), ['early', 'root'])
  assert.equal(await certificates(), 2)
  await writeTreeFiles(repository, files, root.clock.nowMs)
  assert.equal(await certificates(), 3)
})

function nodeUnderRoot(id: string): Member {
  return {
    id,
    kind: 'node',
    policyServer: 'root',
    hostname: `${id}.example`,
    keyHash: '0'.repeat(64),
    port: undefined,
    tlsKeyHash: undefined,
    tokenId: undefined,
    joinedAtMs: 0
  }
}
