import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { checkPages, copyDatabase } from '../../../src/storage/sqlite-engine/database-copy.js'
import { Sqlite } from '../../../src/storage/sqlite-engine/sqlite-driver.js'
import { startProcess, temporaryFolder } from '../../support/machine/treeline-command.js'

/** Adds 1 to ten of a thousand rows at a time, and begins the log anew every few times. */
const WRITER = `
import { Sqlite } from ${JSON.stringify(join(import.meta.dirname, '../../../src/storage/sqlite-engine/sqlite-driver.ts'))}
const db = new Sqlite(process.argv.at(-1))
db.pragma('journal_mode = WAL')
db.pragma('synchronous = OFF')
db.pragma('wal_autocheckpoint = 30')
db.exec("CREATE TABLE counts (id INTEGER PRIMARY KEY, count INTEGER, text TEXT)")
const insert = db.prepare("INSERT INTO counts VALUES (?, 0, printf('%8000s', ''))")
db.transaction(() => { for (let id = 0; id < 1000; id += 1) insert.run(id) })()
const add = db.prepare('UPDATE counts SET count = count + 1 WHERE id % 100 = ?')
console.log('ready')
for (let time = 0; time < 2000; time += 1) add.run((time * 37) % 100)
`

test('a copy of a database that another process writes is as it was at a moment', async t => {
  const folder = await temporaryFolder(t)
  const [file, copy] = [join(folder, 'state.db'), join(folder, 'copy.db')]
  const args = ['--import', 'tsx', '--input-type=module', '--eval', WRITER, '--', file]
  const writer = startProcess(t, process.execPath, args, {})
  await writer.printed('ready')
  let counted = 0
  const look = () => {
    if (!copyDatabase(file, copy)) return
    const db = new Sqlite(copy)
    checkPages(db)
    const count = db.prepare<[], number>('SELECT sum(count) FROM counts').pluck().get() ?? 0
    db.close()
    assert.ok(count % 10 === 0 && count >= counted, `${count} after ${counted}`)
    counted = count
  }
  while (writer.child.exitCode === null) {
    look()
    await nextTurn()
  }
  assert.equal((await writer.ended).code, 0)
  look()
  assert.equal(counted, 20_000)
})
