import { createRunRepository } from '../../../src/storage/sqlite/sqlite-runs.js'
import { ProcessClaims } from '../../support/parts/process-claims.js'
import { stateDatabases } from '../../support/parts/state-databases.js'
import { testRunRepository } from '../contract/run-repository.js'

testRunRepository('SQLite', t => {
  const databases = stateDatabases(t)
  const claims = new ProcessClaims()
  return {
    open: () => createRunRepository(databases.open(), claims.next()),
    openBeside: () => createRunRepository(databases.open(), claims.beside())
  }
})
