import type { ServerResponse } from 'node:http'

/**
 * Calls `act` once, when an answer is written or its connection is lost. It is always told of either: requests begin one
 * after another (`takeTurns`), and Node tells the answer that a connection is at, not those that wait behind it.
 */
export function onAnswerEnd(response: ServerResponse, act: () => void): void {
  if (response.destroyed) act()
  else response.once('close', act)
}
