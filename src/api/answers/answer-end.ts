import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

const underWay = new WeakMap<Socket, Set<() => void>>()

/**
 * Calls `act` once, when an answer is written or its connection is lost. An answer that waits behind another one is told
 * nothing of the end of its connection, so the connection is asked, with one listener for all answers.
 */
export function onAnswerEnd(response: ServerResponse, socket: Socket, act: () => void): void {
  const acts = actsOf(socket)
  const end = () => {
    if (acts.delete(end)) act()
  }
  acts.add(end)
  response.once('finish', end)
  response.once('close', end)
  if (socket.destroyed || response.destroyed) end()
}

function actsOf(socket: Socket): Set<() => void> {
  const known = underWay.get(socket)
  if (known !== undefined) return known
  const acts = new Set<() => void>()
  underWay.set(socket, acts)
  socket.once('close', () => {
    for (const each of acts) each()
  })
  return acts
}
