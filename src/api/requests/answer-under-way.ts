import { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** The answer that a connection is at, or comes to next; undefined while no request waits for one. */
export function answerUnderWay(connection: Duplex): ServerResponse | undefined {
  const message = messageOn(connection)
  return message instanceof ServerResponse ? message : undefined
}

/** Whether an answer is the one that its connection is at. It is asked at each request, and costs no look at the type. */
export function isUnderWay(answer: ServerResponse, connection: Duplex): boolean {
  return messageOn(connection) === answer
}

/** The message that Node has on a connection: its own handler of errors looks there too. */
function messageOn(connection: Duplex): unknown {
  return '_httpMessage' in connection ? connection._httpMessage : undefined
}
