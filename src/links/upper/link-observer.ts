import type { LinkOwner } from './upper-link.js'

export type LinkKind = LinkOwner['kind']

/** Is told what happens to links, for metrics. */
export interface LinkObserver {
  opened(kind: LinkKind): void
  /** Called for each link that closed, also one that a newer one replaced. */
  closed(kind: LinkKind): void
  replaced(kind: LinkKind): void
  /** Called when someone asked for a link, or a lane of one, and got none. */
  refused(): void
  answeredPing(kind: LinkKind, rttMs: number): void
}
