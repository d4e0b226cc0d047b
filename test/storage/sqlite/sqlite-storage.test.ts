import { createRepositories } from '../../../src/storage/repositories/repositories.js'
import { stateDatabases } from '../../support/state-databases.js'
import { testStorageFailure } from '../contract/storage-failure.js'

testStorageFailure('SQLite', t => {
  const databases = stateDatabases(t)
  return {
    open() {
      const db = databases.open()
      return {
        repositories: createRepositories(db),
        fill: () => void db.pragma(`max_page_count = ${Number(db.pragma('page_count', { simple: true }))}`),
        makeRoom: () => void db.pragma('max_page_count = 1000000')
      }
    }
  }
})
