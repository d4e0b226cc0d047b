import type { TakeKind } from '../streams/stream-kinds.js'

/** A service of a `[[service]]`. */
export interface OwnService {
  readonly take: TakeKind
  /** Is not used for further requests; those under way go on. */
  retire(): void
  /** Ends all requests. */
  close(): void
}
