import { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** The answer that a connection is at, or comes to next; undefined while no request waits for one. */
export function answerUnderWay(connection: Duplex): ServerResponse | undefined {
  if (!('_httpMessage' in connection)) return undefined // Node's own handler of errors looks here too
  return connection._httpMessage instanceof ServerResponse ? connection._httpMessage : undefined
}
