import { createLeaseRepository } from '../../../src/storage/sqlite/sqlite-leases.js'
import { testLeaseRepository } from '../contract/lease-repository.js'

testLeaseRepository('SQLite', () => ({ open: createLeaseRepository }))
