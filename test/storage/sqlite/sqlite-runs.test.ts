import { createRunRepository } from '../../../src/storage/sqlite/sqlite-runs.js'
import { stateDatabases } from '../../support/state-databases.js'
import { testRunRepository } from '../contract/run-repository.js'

testRunRepository('SQLite', t => {
  const databases = stateDatabases(t)
  return { open: () => createRunRepository(databases.open()) }
})
