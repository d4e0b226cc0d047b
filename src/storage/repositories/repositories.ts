import type { NeighbourRepository } from '../../hops/neighbour-repository.js'
import type { LeaseRepository } from '../../jobs/lease-repository.js'
import type { MemberRepository } from '../../membership/root/member-repository.js'
import type { RunRepository } from '../../remote-run/run-repository.js'
import type { OutboxRepository } from '../../shared-files/forwarding/outbox-repository.js'
import type { FileRepository } from '../../shared-files/keeping/file-repository.js'
import type { Database } from '../database.js'
import { Claims } from '../sqlite/claims.js'
import { createFileRepository } from '../sqlite/sqlite-files.js'
import { createLeaseRepository } from '../sqlite/sqlite-leases.js'
import { createMemberRepository } from '../sqlite/sqlite-members.js'
import { createNeighbourRepository } from '../sqlite/sqlite-neighbours.js'
import { createOutboxRepository } from '../sqlite/sqlite-outbox.js'
import { createRunRepository } from '../sqlite/sqlite-runs.js'

/** The records of one relay. Another storage implements these. */
export interface Repositories {
  readonly files: FileRepository
  readonly outbox: OutboxRepository
  readonly runs: RunRepository
  readonly neighbours: NeighbourRepository
  readonly leases: LeaseRepository
  /** Creates the repository of members, which the root alone needs. */
  readonly members: () => MemberRepository
}

/** @param db a relay's state database; closed by the caller */
export function createRepositories(db: Database): Repositories {
  const entries = new Claims()
  return {
    files: createFileRepository(db, entries),
    outbox: createOutboxRepository(db, entries),
    runs: createRunRepository(db),
    neighbours: createNeighbourRepository(db),
    leases: createLeaseRepository(),
    members: () => createMemberRepository(db)
  }
}
