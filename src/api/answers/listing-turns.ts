import { SourceQueue } from '../../network/sources/source-queue.js'
import { createWorkQueue } from '../../process/pacing/work-queue.js'

const queue = createWorkQueue(1)
const waiting = new SourceQueue<() => void>()

/**
 * The turn of a page of a long list, or of a count of one: one in each turn of the event loop, however many callers ask for
 * lists. The sources take turns, so that one that asks for many lists does not delay those of others.
 */
export function listingTurn(source: string): Promise<void> {
  return new Promise(resolve => {
    waiting.add(source, resolve)
    queue(() => waiting.next()?.())
  })
}
