import { createFileRepository } from '../../../src/storage/sqlite/sqlite-files.js'
import { createOutboxRepository } from '../../../src/storage/sqlite/sqlite-outbox.js'
import { stateDatabases } from '../../support/state-databases.js'
import { testFileRepository } from '../contract/file-repository.js'

testFileRepository('SQLite', t => {
  const databases = stateDatabases(t)
  return {
    open: () => createFileRepository(databases.open()),
    openOutbox: () => createOutboxRepository(databases.open())
  }
})
