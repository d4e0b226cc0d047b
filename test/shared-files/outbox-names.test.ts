import assert from 'node:assert/strict'
import { mkdirSync, renameSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Claims } from '../../src/storage/sqlite/claims.js'
import { createOutboxRepository } from '../../src/storage/sqlite/sqlite-outbox.js'
import { openDatabase } from '../../src/storage/sqlite-engine/database.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'
import { outboxFile, outboxFiles, startRoot } from '../support/parts/outboxes.js'
import {
  BELOW_RELAY,
  type SignedBytes,
  sign,
  startSharedFiles,
  type TestHop,
  type TestRelay
} from '../support/parts/shared-file-relays.js'
import { until } from '../support/relays/existing-relays.js'

/** The hop comes back: what waits goes there, this file too. */
async function assertDelivered(t: TestContext, { root, down }: { root: TestRelay; down: TestHop }, file: SignedBytes) {
  const below = await startSharedFiles(t, { selfId: 'relay', nodes: BELOW_RELAY })
  down.leadTo(below.files, { kind: 'policy-server', address: '::1' })
  root.clock.nowMs += 120_000
  root.files.start()
  await until(async () => (await root.files.outbox.list()).length === 0)
  assert.equal(await below.head(file), true)
}

test('a disk that does not give a recorded file its name loses neither it nor the trust in a 202', async t => {
  const folder = await temporaryFolder(t)
  const db = openDatabase(join(folder, 'state.db'), 'state')
  t.after(() => db.close())
  const repository = createOutboxRepository(db, new Claims())
  const add = repository.add.bind(repository)
  const obstacles: string[] = []
  repository.add = async (entry, ...rest) => {
    const added = await add(entry, ...rest)
    const obstacle = join(folder, 'shared-files/.outbox~', entry.id) // no file takes the name of a folder
    mkdirSync(obstacle)
    obstacles.push(obstacle)
    return added
  }
  const { root, down } = await startRoot(t, { folder, more: { outboxRepository: repository } })
  for (const content of ['first', 'second']) {
    assert.equal(await root.put(sign('n2/n1/f', content)), 'pending')
    for (const obstacle of obstacles.splice(0)) rmdirSync(obstacle)
  }
  assert.equal(outboxFiles(root).length, 1, 'the older one is gone')

  await assertDelivered(t, { root, down }, sign('n2/n1/f', 'second'))
})

test('an entry whose file did not get its name back is sent all the same', async t => {
  const { root, down } = await startRoot(t)
  await root.put(sign('n2/n1/f', 'content'))
  const [id = ''] = outboxFiles(root)
  renameSync(outboxFile(root, id), outboxFile(root, `${id}~`)) // so a withdrawal leaves it that a disk did not let end
  await assertDelivered(t, { root, down }, sign('n2/n1/f', 'content'))
})
