import { createNeighbourRepository } from '../../../src/storage/sqlite/neighbour-repository.js'
import { stateDatabases } from '../../support/state-databases.js'
import { testNeighbourRepository } from '../contract/neighbour-repository.js'

testNeighbourRepository('SQLite', t => {
  const databases = stateDatabases(t)
  return { open: () => createNeighbourRepository(databases.open()) }
})
