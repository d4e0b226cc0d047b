import { createFileRepository } from '../../../src/storage/sqlite/sqlite-files.js'
import { createOutboxRepository } from '../../../src/storage/sqlite/sqlite-outbox.js'
import { ProcessClaims } from '../../support/parts/process-claims.js'
import { stateDatabases } from '../../support/parts/state-databases.js'
import { testFileRepository } from '../contract/file-repository.js'

testFileRepository('SQLite', t => {
  const databases = stateDatabases(t)
  const claims = new ProcessClaims()
  return {
    open: () => createFileRepository(databases.open(), claims.next()),
    openProcess: () => {
      const ofProcess = claims.beside()
      return {
        files: createFileRepository(databases.open(), ofProcess),
        outbox: createOutboxRepository(databases.open(), ofProcess)
      }
    }
  }
})
