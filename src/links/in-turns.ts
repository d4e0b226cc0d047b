/** Done in one turn of the event loop, before others have theirs: a few milliseconds. */
const PER_TURN = 16

const waiting: (() => void)[] = []
let isScheduled = false

/**
 * Does `work` soon, in the order in which it was given, and not much of it at once. When thousands of connections break
 * in the same moment, what has to be tidied up after them would hold up every request for seconds.
 */
export function inTurns(work: () => void): void {
  waiting.push(work)
  if (isScheduled) return
  isScheduled = true
  setImmediate(doSome)
}

function doSome(): void {
  for (const work of waiting.splice(0, PER_TURN)) work()
  isScheduled = waiting.length > 0
  if (isScheduled) setImmediate(doSome)
}
