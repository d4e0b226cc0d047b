import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openDatabase } from '../../src/storage/database.js'

test('what to do about a damaged state.db is said for the program that has it', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'treeline-damaged-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = join(folder, 'state.db')
  await writeFile(file, 'no database'.repeat(1_000))
  const messageOf = (open: () => unknown) => {
    let message = ''
    assert.throws(open, (error: Error) => {
      message = error.message
      return true
    })
    return message
  }
  const ofAgent = messageOf(() => openDatabase(file, 'state', 'agent'))
  assert.match(ofAgent, /damaged, or no database\. Keep it and .* elsewhere, and start the agent again/)
  assert.doesNotMatch(ofAgent, /relay|root|lost~/)
  assert.match(
    messageOf(() => openDatabase(file, 'state')),
    /put a copy from a backup in its place\. .* nodes restore/
  )
})
