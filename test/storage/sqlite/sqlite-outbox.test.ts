import { createOutboxRepository } from '../../../src/storage/sqlite/sqlite-outbox.js'
import { stateDatabases } from '../../support/state-databases.js'
import { testOutboxRepository } from '../contract/outbox-repository.js'

testOutboxRepository('SQLite', t => {
  const databases = stateDatabases(t)
  return { open: () => createOutboxRepository(databases.open()) }
})
