import type { IncomingMessage } from 'node:http'
import type { PieceBudget } from '../../network/sources/piece-budget.js'

/**
 * Counts the chunks of the body of a request against the budget of whoever sends it. One message can hold thousands of
 * them, and each costs as much as a long one.
 */
export function countBodyPieces(request: IncomingMessage, pieces: PieceBudget): void {
  const { push } = request
  Object.assign(request, {
    push: (chunk: Buffer | null, encoding?: BufferEncoding): boolean => {
      if (chunk !== null) pieces.take(chunk.length)
      return push.call(request, chunk, encoding)
    },
    // Node lets its parser drop a body that nobody reads, and it would not come here.
    _dump: () => {
      request.removeAllListeners('data')
      request.resume()
    }
  })
}
