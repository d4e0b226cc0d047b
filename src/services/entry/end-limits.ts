import type { Socket } from 'node:net'

/** The limits of a connection whose answer is complete, in ms. */
export interface EndLimits {
  /** While not all was handed over: for a caller that reads nothing, and in all. */
  readonly unreadMs: number
  readonly unreadInAllMs: number
  /** When all was handed over, and the caller is to see that it is the end: for one that is silent, and for one that goes on sending. */
  readonly silentMs: number
  readonly sendingMs: number
}

const UNREAD_END_MS = 60_000
const UNREAD_END_IN_ALL_MS = 600_000
const SILENT_END_MS = 5_000
const SENDING_END_MS = 30_000

export const END_LIMITS: EndLimits = {
  unreadMs: UNREAD_END_MS,
  unreadInAllMs: UNREAD_END_IN_ALL_MS,
  silentMs: SILENT_END_MS,
  sendingMs: SENDING_END_MS
}

/** Ends the connection of a caller that does not read the rest of its answer, until `setTimeout(0)`. */
export function limitUnread(socket: Socket, { unreadMs }: EndLimits): void {
  socket.setTimeout(unreadMs) // Node counts a large write that is read bit by bit as activity
}

/** Bounds the time until a connection has ended, of which no more is read. A `timeout` of the socket is to destroy it. */
export function endWithin(socket: Socket, limits: EndLimits): void {
  limitUnread(socket, limits)
  let timer = setTimeout(() => socket.destroy(), limits.unreadInAllMs).unref()
  socket.once('finish', () => {
    clearTimeout(timer)
    socket.setTimeout(limits.silentMs)
    timer = setTimeout(() => socket.destroy(), limits.sendingMs).unref()
  })
  socket.once('close', () => clearTimeout(timer))
}
