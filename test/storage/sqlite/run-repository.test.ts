import { createRunRepository } from '../../../src/storage/sqlite/run-repository.js'
import { stateDatabases } from '../../support/state-databases.js'
import { testRunRepository } from '../contract/run-repository.js'

testRunRepository('SQLite', t => {
  const databases = stateDatabases(t)
  return { open: () => createRunRepository(databases.open()) }
})
