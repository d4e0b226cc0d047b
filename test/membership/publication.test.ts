import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Publication } from '../../src/membership/root/publication.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'
import { startMembers } from '../support/parts/members.js'

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
