/**
 * Waits until all of some work has ended, also where a part fails: what is still being written then could not be removed.
 * @throws the failure of the first part, in the order given, that failed
 */
export async function allEnded(parts: readonly Promise<unknown>[]): Promise<void> {
  for (const end of await Promise.allSettled(parts)) if (end.status === 'rejected') throw end.reason
}
