/**
 * The neighbours that are known as Treeline relays, through restarts. Each change is durable once its promise
 * resolves.
 */
export interface NeighbourRepository {
  /** The version that each neighbour showed last. */
  versions(): Promise<ReadonlyMap<string, string>>
  /** @param seenAtMs since 1970 */
  remember(id: string, version: string, seenAtMs: number): Promise<void>
  forget(id: string): Promise<void>
}
