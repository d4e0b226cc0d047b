import type { NeighbourRepository } from '../../hops/neighbour-repository.js'
import type { LeaseRepository } from '../../jobs/lease-repository.js'
import type { MemberRepository } from '../../membership/root/member-repository.js'
import type { RunRepository } from '../../remote-run/records/run-repository.js'
import type { OutboxRepository } from '../../shared-files/forwarding/outbox-repository.js'
import type { FileRepository } from '../../shared-files/keeping/file-repository.js'

/** The records of one relay, by the features that own their interfaces. */
export interface Repositories {
  readonly files: FileRepository
  readonly outbox: OutboxRepository
  readonly runs: RunRepository
  readonly neighbours: NeighbourRepository
  readonly leases: LeaseRepository
  /** The members of the tree, at its root alone. */
  readonly members: MemberRepository
}

/** The storage of all records, as one process uses it. */
export interface RecordStorage {
  readonly repositories: Repositories
  /** Why it cannot be used now, or could not a moment ago; undefined where it can. */
  problem(): string | undefined
  /** Ends all use of it. What was to be written is written, or has been refused. */
  close(): void
}
