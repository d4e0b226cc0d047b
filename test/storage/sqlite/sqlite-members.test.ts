import { createMemberRepository } from '../../../src/storage/sqlite/sqlite-members.js'
import { stateDatabases } from '../../support/state-databases.js'
import { testMemberRepository } from '../contract/member-repository.js'

testMemberRepository('SQLite', t => {
  const databases = stateDatabases(t)
  return { open: () => createMemberRepository(databases.open()) }
})
