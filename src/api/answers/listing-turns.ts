import { createWorkQueue } from '../../process/pacing/work-queue.js'

const queue = createWorkQueue(1)

/** The turn of a page of a long list, or of a count of one: one in each turn of the event loop, however many callers ask for lists. */
export function listingTurn(): Promise<void> {
  return new Promise(resolve => queue(resolve))
}
