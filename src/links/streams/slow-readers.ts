import type { StreamState } from './stream-state.js'

/**
 * Looks after some time which streams passed nothing on meanwhile, and resets those that hold the most.
 * @param tooMany bytes that are to be freed by then; 0 where there is room again
 */
export function watchSlowReaders(
  streams: ReadonlyMap<number, StreamState>,
  tooMany: () => number,
  afterMs: number
): NodeJS.Timeout {
  const before = new Map([...streams.values()].map(stream => [stream, stream.passedOn]))
  return setTimeout(() => {
    let left = tooMany()
    if (left <= 0) return
    const stalled = [...streams.values()].filter(stream => stream.held > 0 && before.get(stream) === stream.passedOn)
    for (const stream of stalled.sort((a, b) => b.held - a.held)) {
      if (left <= 0) return
      left -= stream.held
      stream.sink.onReset(stream.giveUp('it was read too slowly, while others needed the room'))
    }
  }, afterMs).unref()
}
