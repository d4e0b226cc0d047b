import { createLeaseRepository } from '../../../src/storage/sqlite/sqlite-leases.js'
import { ProcessClaims } from '../../support/parts/process-claims.js'
import { testLeaseRepository } from '../contract/lease-repository.js'

testLeaseRepository('SQLite', () => {
  const claims = new ProcessClaims()
  return {
    open: () => createLeaseRepository(claims.next()),
    openBeside: () => createLeaseRepository(claims.beside())
  }
})
