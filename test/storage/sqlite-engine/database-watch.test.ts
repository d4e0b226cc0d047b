import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { openDatabase } from '../../../src/storage/sqlite-engine/database.js'
import { DatabaseWatch } from '../../../src/storage/sqlite-engine/database-watch.js'
import { groupCommitOf } from '../../../src/storage/sqlite-engine/group-commit.js'
import { Sqlite } from '../../../src/storage/sqlite-engine/sqlite-driver.js'
import { temporaryFolder } from '../../support/machine/treeline-command.js'

test('a database that takes no writes is a problem, one that another process writes to is none', async t => {
  const folder = await temporaryFolder(t)
  const db = openDatabase(join(folder, 'state.db'), 'state')
  t.after(() => db.close())
  const version = db.pragma('user_version', { simple: true })
  const watch = new DatabaseWatch(db, 0)
  assert.equal(watch.problem(), undefined)
  db.pragma('query_only = ON')
  assert.match(watch.problem() ?? '', /^storage\.path \(.*\) is on a file system that is read-only/)
  db.pragma('query_only = OFF')
  assert.equal(watch.problem(), undefined)
  const other = new Sqlite(join(folder, 'state.db'))
  t.after(() => other.close())
  other.exec('BEGIN IMMEDIATE')
  assert.equal(watch.problem(), undefined)
  other.exec('ROLLBACK')
  assert.deepEqual(
    ['user_version', 'busy_timeout'].map(name => db.pragma(name, { simple: true })),
    [version, 5_000]
  )
})

test('the database is not written for each question', async t => {
  const db = openDatabase(join(await temporaryFolder(t), 'state.db'), 'state')
  t.after(() => db.close())
  const watch = new DatabaseWatch(db, 60_000)
  assert.equal(watch.problem(), undefined)
  db.pragma('query_only = ON')
  assert.equal(watch.problem(), undefined)
})

test('a commit of others shows whether the database can be written to, without a look of the watch', async t => {
  const db = openDatabase(join(await temporaryFolder(t), 'state.db'), 'state')
  t.after(() => db.close())
  db.exec('CREATE TABLE written (value INTEGER)')
  const commit = groupCommitOf(db)
  const write = () => commit(() => void db.exec('INSERT INTO written VALUES (1)'))
  const watch = new DatabaseWatch(db, 60_000)
  await write()
  db.pragma('query_only = ON')
  assert.equal(watch.problem(), undefined)
  await assert.rejects(write())
  assert.match(watch.problem() ?? '', /^storage\.path/)
})

test('a commit that wrote nothing shows nothing', async t => {
  const db = openDatabase(join(await temporaryFolder(t), 'state.db'), 'state')
  t.after(() => db.close())
  await groupCommitOf(db)(() => undefined)
  db.pragma('query_only = ON')
  assert.match(new DatabaseWatch(db, 60_000).problem() ?? '', /^storage\.path/)
})
