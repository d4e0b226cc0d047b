import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Database, openDatabase } from '../../../src/storage/sqlite-engine/database.js'
import { groupCommitOf } from '../../../src/storage/sqlite-engine/group-commit.js'
import { storageFailureKind } from '../../../src/values/failures/storage-failure.js'
import { temporaryFolder } from '../../support/parts/neighbours.js'

async function open(t: TestContext): Promise<Database> {
  const db = openDatabase(join(await temporaryFolder(t), 'state.db'), 'state')
  t.after(() => db.close())
  db.exec('CREATE TABLE words (word TEXT PRIMARY KEY)')
  return db
}

function words(db: Database): unknown[] {
  return db.prepare('SELECT word FROM words ORDER BY rowid').pluck().all()
}

test('what a work that fails has written is undone, and the others of its group are kept', async t => {
  const db = await open(t)
  const insert = db.prepare('INSERT INTO words (word) VALUES (?)')
  const commit = groupCommitOf(db)
  const outcomes = await Promise.allSettled([
    commit(() => void insert.run('one')),
    commit(() => {
      insert.run('two')
      throw new Error('no')
    }),
    commit(() => void insert.run('three'))
  ])
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled']
  )
  assert.deepEqual(words(db), ['one', 'three'])
})

test('where the disk refuses in the middle of a group, nothing of it is written, and each is told why', async t => {
  const db = await open(t)
  const insert = db.prepare('INSERT INTO words (word) VALUES (?)')
  const commit = groupCommitOf(db)
  db.pragma(`max_page_count = ${Number(db.pragma('page_count', { simple: true }))}`)
  const given = ['one', 'x'.repeat(100_000), 'three'].map(word => commit(() => void insert.run(word)))
  for (const outcome of await Promise.allSettled(given)) {
    assert.equal(outcome.status === 'rejected' && storageFailureKind(outcome.reason), 'full')
  }
  assert.deepEqual(words(db), [])
  await commit(() => void insert.run('four'))
  assert.deepEqual(words(db), ['four'])
})

test('works are done in the order in which they were given, also those given while others are written', async t => {
  const db = await open(t)
  const insert = db.prepare('INSERT INTO words (word) VALUES (?)')
  const commit = groupCommitOf(db)
  const expected: string[] = []
  const done: string[] = []
  const give = (word: string) => {
    expected.push(word)
    return commit(() => void insert.run(word)).then(() => done.push(word))
  }
  const first = Array.from({ length: 600 }, (_, index) => give(`first ${index}`))
  await first[0]
  const second = Array.from({ length: 20 }, (_, index) => give(`second ${index}`))
  await Promise.all([...first, ...second])
  assert.deepEqual(words(db), expected)
  assert.deepEqual(done, expected)
})

test('one database has one queue, however many ask for it', async t => {
  const db = await open(t)
  assert.equal(groupCommitOf(db), groupCommitOf(db))
  assert.notEqual(groupCommitOf(db), groupCommitOf(await open(t)))
})
