import { createNeighbourRepository } from '../../../src/storage/sqlite/sqlite-neighbours.js'
import { stateDatabases } from '../../support/parts/state-databases.js'
import { testNeighbourRepository } from '../contract/neighbour-repository.js'

testNeighbourRepository('SQLite', t => {
  const databases = stateDatabases(t)
  const open = () => createNeighbourRepository(databases.open())
  return { open, openBeside: open }
})
