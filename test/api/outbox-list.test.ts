import assert from 'node:assert/strict'
import { test } from 'node:test'
import pino from 'pino'
import { buildApp } from '../../src/api/app.js'
import { API_PREFIX } from '../../src/network/api-prefix.js'
import { Claims } from '../../src/storage/sqlite/claims.js'
import { createOutboxRepository } from '../../src/storage/sqlite/sqlite-outbox.js'
import { makeRelayParts } from '../support/parts/relay-parts.js'
import { startSharedFiles } from '../support/parts/shared-file-relays.js'

const ENTRIES = 600
const CALLERS = 20
const idOf = (index: number) => `01M8KKHZ15H5H64BK2T${String(index).padStart(7, '0')}`

test('the list of the outbox is whole, and made a page in each turn of the event loop, however many ask; a HEAD makes one page', async t => {
  const relay = await startSharedFiles(t)
  const repository = createOutboxRepository(relay.db, new Claims())
  const entry = { target: 'n2', source: 'n1', algorithm: 'sha512', hash: 'aa', signedAtMs: undefined, keyHash: 'k' }
  const state = {
    attempts: 1,
    nextAttemptAtMs: 1,
    lastStatus: undefined,
    lastError: 'away',
    passed: '',
    requestId: 'r'
  }
  const file = {
    sizeBytes: 5,
    acceptedAtMs: 1_000,
    series: undefined,
    seriesNumber: undefined,
    expiresAtMs: 9_000,
    metadata: 'header=x\n'
  }
  const add = (index: number) =>
    repository.add(
      { ...entry, ...file, ...state, id: idOf(index), fileId: `f${index}`, state: index === 7 ? 'failed' : 'pending' },
      { replacing: undefined }
    )
  await Promise.all(Array.from({ length: ENTRIES }, (_, index) => add(index)))

  const parts = await makeRelayParts()
  t.after(() => parts.close())
  let pages = 0
  let pagesOfTurn = 0
  let mostPages = 0
  let longestPage = 0
  const { outbox } = relay.files
  const counted: typeof outbox = {
    ...outbox,
    async list(...asked) {
      pages += 1
      pagesOfTurn += 1
      mostPages = Math.max(mostPages, pagesOfTurn)
      setImmediate(() => {
        pagesOfTurn = 0
      })
      const page = await outbox.list(...asked)
      longestPage = Math.max(longestPage, page.length)
      return page
    }
  }
  const sharedFiles = { ...relay.files, outbox: counted }
  const app = await buildApp({ services: { ...parts.services, sharedFiles }, logger: pino({ level: 'silent' }) })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  t.after(() => app.close())
  const answers = await Promise.all(
    Array.from({ length: CALLERS }, async () => {
      const answer = await fetch(`${url}${API_PREFIX}/outbox`)
      assert.equal(answer.status, 200)
      assert.equal(answer.headers.get('content-type'), 'application/json; charset=utf-8')
      return (await answer.json()) as { entries: { id: string; file_id: string }[]; pending: number; failed: number }
    })
  )
  const expected = Array.from({ length: ENTRIES }, (_, index) => idOf(index))
  for (const { entries, pending, failed } of answers) {
    assert.deepEqual(
      entries.map(({ id }) => id),
      expected
    )
    assert.deepEqual({ pending, failed }, { pending: ENTRIES - 1, failed: 1 })
  }
  // the count may begin anew only after the next page
  assert.ok(mostPages <= 2, `${mostPages} pages in one turn`)
  assert.ok(longestPage <= 250, `${longestPage} entries at once`)

  pages = 0
  const heads = Array.from({ length: CALLERS }, () => fetch(`${url}${API_PREFIX}/outbox`, { method: 'HEAD' }))
  for (const { status, headers } of await Promise.all(heads)) {
    assert.equal(status, 200)
    assert.equal(headers.get('content-type'), 'application/json; charset=utf-8')
  }
  // More of the list would be made by now: a GET is behind the HEADs in the turns of the lists.
  await (await fetch(`${url}${API_PREFIX}/outbox`)).arrayBuffer()
  const ofGet = Math.ceil(ENTRIES / 250) + 1 // the last one is empty
  assert.ok(pages <= CALLERS + ofGet, `${pages} pages for ${CALLERS} HEADs and a GET`)
})
