/**
 * @param perTurn how many are done in one turn of the event loop, before others have theirs: some milliseconds' worth
 * @returns a function that does `work` soon, in the order in which it was given, and not much of it at once. When
 *   thousands of connections break or come in the same moment, what has to be done for them would hold up every request
 *   for seconds.
 */
export function createWorkQueue(perTurn: number): (work: () => void) => void {
  const waiting: (() => void)[] = []
  let isScheduled = false

  function doSome(): void {
    for (const work of waiting.splice(0, perTurn)) work()
    isScheduled = waiting.length > 0
    if (isScheduled) setImmediate(doSome)
  }

  return work => {
    waiting.push(work)
    if (isScheduled) return
    isScheduled = true
    setImmediate(doSome)
  }
}

/** The turns for cleaning up after a connection. */
export const queueCleanUp = createWorkQueue(16)
