import { createLeaseRepository } from '../../../src/storage/sqlite/lease-repository.js'
import { testLeaseRepository } from '../contract/lease-repository.js'

testLeaseRepository('SQLite', () => ({ open: createLeaseRepository }))
