import { createOutboxRepository } from '../../../src/storage/sqlite/sqlite-outbox.js'
import { ProcessClaims } from '../../support/process-claims.js'
import { stateDatabases } from '../../support/state-databases.js'
import { testOutboxRepository } from '../contract/outbox-repository.js'

testOutboxRepository('SQLite', t => {
  const databases = stateDatabases(t)
  const claims = new ProcessClaims()
  return {
    open: () => createOutboxRepository(databases.open(), claims.next()),
    openBeside: () => createOutboxRepository(databases.open(), claims.beside())
  }
})
