import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { canonicalHost } from '../../../src/network/host-name.js'
import { createMemberRepository } from '../../../src/storage/sqlite/sqlite-members.js'
import { openDatabase } from '../../../src/storage/sqlite-engine/database.js'
import { Sqlite } from '../../../src/storage/sqlite-engine/sqlite-driver.js'
import { temporaryFolder } from '../../support/parts/neighbours.js'

test('members of an older database have their host names in the form in which names are compared now', async t => {
  const names = readdirSync('migrations/state').filter(name => name.endsWith('.sql'))
  const spellings: readonly [id: string, old: string, now: string][] = [
    ['dot', 'Relay.Example.', 'relay.example'],
    ['usual', 'relay-2.example', 'relay-2.example'],
    ['mapped', '::ffff:192.0.2.1', '192.0.2.1'],
    ['long', '2001:DB8:0:0::1', '2001:db8::1'],
    ['port', 'relay-3.example:8443', 'relay-3.example'],
    ['Short', '127.1', 'short.invalid'],
    ['number', 'relay.1', 'number.invalid'],
    ['-x', '0x7f.1', '2d78.invalid']
  ]
  for (const first of ['0012', '0013']) {
    const file = join(await temporaryFolder(t), 'state.db')
    const before = names.sort().filter(name => name < first)
    const old = new Sqlite(file)
    old.function('canonical_host', (hostname, _id) => hostname) // 0012 had fewer rules
    for (const name of before) old.exec(readFileSync(join('migrations/state', name), 'utf8'))
    old.pragma(`user_version = ${before.length}`)
    const insert = old.prepare(`INSERT INTO members (id, kind, policy_server, hostname, key_hash, joined_at)
    VALUES (?, 'relay', 'root', ?, '', 0)`)
    for (const [id, hostname] of spellings) insert.run(id, hostname)
    old.close()
    const db = openDatabase(file, 'state')
    t.after(() => db.close())
    const members = createMemberRepository(db)
    for (const [id, , hostname] of spellings)
      assert.equal((await members.relayByHostname(hostname, ''))?.id, id, hostname)
    for (const member of await members.members('', 10)) assert.equal(canonicalHost(member.hostname), member.hostname)
  }
})
