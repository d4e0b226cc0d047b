import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { onAnswerEnd } from './ends/answer-end.js'

/**
 * How long a reader may take nothing of an answer. That is seen only when the system takes more of us, and it does so
 * in steps of up to 1.6 MB where it has grown its buffers: with a minute, a reader at 16 KiB/s would be cut off.
 */
const STALLED_READER_MS = 600_000

/** How often it is looked within that time. */
const LOOKS = 10

/**
 * Ends the connection of a reader that takes nothing, for as long as `response` is under way. Only bytes that were
 * waiting for it count: an answer whose own bytes are slow to come is left alone. A write counts once all of it was
 * taken, so the answer is to come in pieces, as files do. No timeout stays on the connection.
 */
export function limitStalledReader(response: ServerResponse, socket: Socket, limitMs = STALLED_READER_MS): void {
  let takenBytes = -1
  let looksInVain = 0
  const timer = setInterval(() => {
    const taken = socket.bytesWritten - socket.writableLength
    const isStalled = taken === takenBytes && socket.writableLength > 0
    takenBytes = taken
    looksInVain = isStalled ? looksInVain + 1 : 0
    if (looksInVain >= LOOKS) socket.destroy()
  }, limitMs / LOOKS)
  timer.unref()
  const stop = () => clearInterval(timer)
  onAnswerEnd(response, stop)
}
