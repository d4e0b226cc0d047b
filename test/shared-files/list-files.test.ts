import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createList } from '../../src/shared-files/reading/list-files.js'
import { Claims } from '../../src/storage/sqlite/claims.js'
import { createFileRepository } from '../../src/storage/sqlite/sqlite-files.js'
import { RelayError } from '../../src/values/failures/relay-error.js'
import { LOCAL, originOf, sign, startSharedFiles, topologyOf, WHOLE_TREE } from '../support/parts/shared-file-relays.js'

test('many short lists are read in one turn, and none for a caller that may not, or is gone', async t => {
  const relay = await startSharedFiles(t)
  assert.equal(await relay.put(sign('n1/n1/f', 'content')), 'stored')
  const repository = createFileRepository(relay.db, new Claims())
  const topology = topologyOf('root', WHOLE_TREE)
  let reads = 0
  let readsInTurn = 0
  let most = 0
  const list = createList({
    topology: () => topology,
    now: () => relay.clock.nowMs,
    files: {
      forTarget(...asked) {
        if (readsInTurn === 0) {
          setImmediate(() => {
            readsInTurn = 0
          })
        }
        reads += 1
        readsInTurn += 1
        most = Math.max(most, readsInTurn)
        return repository.forTarget(...asked)
      }
    }
  })
  const gone = new AbortController()
  const origin = { ...originOf(), signal: gone.signal }
  const lists = Array.from({ length: 200 }, () => list('n1', undefined, originOf(LOCAL)))
  const isRefused = assert.rejects(list('n1', undefined, origin), RelayError)
  gone.abort()
  await assert.rejects(list('n1', undefined, originOf({ kind: 'node', id: 'n2', address: '::1' })), {
    code: 'FORBIDDEN'
  })
  assert.equal(reads, 0, 'it waits for no turn to be refused')
  for (const files of await Promise.all(lists))
    assert.deepEqual(
      files.map(({ fileId }) => fileId),
      ['f']
    )
  await isRefused
  assert.equal(reads, 200)
  // the count may begin anew only after the next one
  assert.ok(most > 2, 'one a turn')
})
