import { createFileRepository } from '../../../src/storage/sqlite/file-repository.js'
import { stateDatabases } from '../../support/state-databases.js'
import { testFileRepository } from '../contract/file-repository.js'

testFileRepository('SQLite', t => {
  const databases = stateDatabases(t)
  const db = databases.open()
  return {
    open: () => createFileRepository(databases.open()),
    addToOutbox: async ({ target, source, fileId }) => {
      db.prepare(
        `INSERT INTO outbox (id, target, source, file_id, state, size_bytes, algorithm, hash, accepted_at, expires_at,
           metadata, key_hash, passed, request_id, attempts, next_attempt_at)
         VALUES (?, ?, ?, ?, 'pending', 1, 'sha512', 'aa', 0, 9000, '', '', '', '', 1, 0)`
      ).run(`${target}-${source}-${fileId}`, target, source, fileId)
    },
    inOutbox: async () => db.prepare<[], string>('SELECT id FROM outbox ORDER BY id').pluck().all()
  }
})
