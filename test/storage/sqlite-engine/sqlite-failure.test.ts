import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Sqlite } from '../../../src/storage/sqlite-engine/sqlite-driver.js'
import { asStorageFailure, translatedRows } from '../../../src/storage/sqlite-engine/sqlite-failure.js'
import { storageFailureKind } from '../../../src/values/failures/storage-failure.js'
import { temporaryFolder } from '../../support/machine/treeline-command.js'

function failureOf(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  return undefined
}

function kindOf(work: () => unknown) {
  return storageFailureKind(failureOf(work))
}

test('each code of SQLite that a disk or another process causes has its kind, and a fault of the program has none', () => {
  const kinds = {
    SQLITE_FULL: 'full',
    SQLITE_IOERR_SHMSIZE: 'full',
    SQLITE_READONLY_DBMOVED: 'read-only',
    SQLITE_IOERR_FSYNC: 'broken',
    SQLITE_IOERR_WRITE: 'broken-or-quota',
    SQLITE_CORRUPT_VTAB: 'damaged',
    SQLITE_NOTADB: 'damaged',
    SQLITE_BUSY_SNAPSHOT: 'locked',
    SQLITE_CANTOPEN: 'cannot-open',
    SQLITE_CONSTRAINT_UNIQUE: undefined,
    ENOSPC: undefined
  }
  for (const [code, kind] of Object.entries(kinds)) {
    const error = Object.assign(new Error('no'), { code })
    const found = asStorageFailure(error)
    assert.equal(storageFailureKind(found), kind, code)
    if (kind === undefined) assert.equal(found, error)
    else assert.deepEqual({ ...(found as object) }, { name: 'StorageFailure', kind, code })
    assert.equal(asStorageFailure(found), found, 'it is translated once')
  }
})

test('whatever SQLite is asked, its refusal is a failure of the storage', async t => {
  const folder = await temporaryFolder(t)
  assert.equal(
    kindOf(() => new Sqlite(join(folder, 'none/a.db'))),
    undefined,
    'a folder that is not there is a fault of the driver'
  )
  assert.equal(
    kindOf(() => new Sqlite(folder)),
    'cannot-open'
  )
  const file = join(folder, 'a.db')
  const db = new Sqlite(file, { timeout: 0 })
  const other = new Sqlite(file, { timeout: 0 })
  t.after(() => {
    db.close()
    other.close()
  })
  db.exec('CREATE TABLE t (a TEXT)')
  const insert = db.prepare('INSERT INTO t VALUES (?)')
  const select = db.prepare<[], string>('SELECT a FROM t').pluck()
  insert.run('row')
  other.exec('BEGIN EXCLUSIVE')
  const works = {
    run: () => insert.run('x'),
    get: () => select.get(),
    all: () => select.all(),
    iterate: () => [...translatedRows(select.iterate())],
    transaction: () => db.transaction(() => insert.run('x'))(),
    'transaction, immediate': () => db.transaction(() => 1).immediate(),
    exec: () => db.exec("INSERT INTO t VALUES ('x')"),
    pragma: () => db.pragma('user_version = 1'),
    prepare: () => new Sqlite(file, { timeout: 0 }).prepare('SELECT * FROM t')
  }
  for (const [name, work] of Object.entries(works)) assert.equal(kindOf(work), 'locked', name)
  other.exec('ROLLBACK')
  assert.deepEqual(select.all(), ['row'])
  assert.deepEqual([...translatedRows(select.iterate())], ['row'])

  const noDatabase = join(folder, 'b.db')
  writeFileSync(noDatabase, 'no database '.repeat(100))
  assert.equal(
    kindOf(() => new Sqlite(noDatabase).pragma('user_version')),
    'damaged'
  )
})
