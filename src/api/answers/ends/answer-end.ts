import type { ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'

/** Whether an answer was written, or its connection or stream is lost. Answers over links are of HTTP/2, and have no `destroyed`. */
export function answerHasEnded(response: ServerResponse | Http2ServerResponse): boolean {
  return 'stream' in response ? response.stream.destroyed : response.destroyed
}

/**
 * Calls `act` once, when an answer is written or its connection is lost. It is always told of either: requests of a
 * connection begin one after another (`takeTurns`), and Node tells the answer that a connection is at, not those that wait
 * behind it. Over links each has a stream of its own.
 */
export function onAnswerEnd(response: ServerResponse, act: () => void): void {
  if (answerHasEnded(response)) act()
  else response.once('close', act)
}
