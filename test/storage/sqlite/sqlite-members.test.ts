import { createMemberRepository } from '../../../src/storage/sqlite/sqlite-members.js'
import { stateDatabases } from '../../support/parts/state-databases.js'
import { testMemberRepository } from '../contract/member-repository.js'

testMemberRepository('SQLite', t => {
  const databases = stateDatabases(t)
  const open = () => createMemberRepository(databases.open())
  return { open, openBeside: open }
})
