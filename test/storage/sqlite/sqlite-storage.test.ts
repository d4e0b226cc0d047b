import { sqliteStorage } from '../../../src/storage/repositories/open-storage.js'
import { stateDatabases } from '../../support/parts/state-databases.js'
import { testStorageFailure } from '../contract/storage-failure.js'

testStorageFailure('SQLite', t => {
  const databases = stateDatabases(t)
  return {
    open() {
      const db = databases.open()
      return {
        repositories: sqliteStorage(db).repositories,
        fill: () => void db.pragma(`max_page_count = ${Number(db.pragma('page_count', { simple: true }))}`),
        makeRoom: () => void db.pragma('max_page_count = 1000000')
      }
    }
  }
})
