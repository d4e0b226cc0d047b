import type { Http2Session, Http2Stream } from 'node:http2'
import type { WebSocket } from 'ws'

/** Frames that carry nothing but ask for work, as pings of the WebSocket do. We send a handful of them a minute. */
const IDLE_FRAMES = ['ping', 'remoteSettings', 'priority', 'goaway', 'altsvc', 'origin'] as const
export const MAX_IDLE_FRAMES = 1_000
const WITHIN_MS = 10_000

/**
 * Calls `onFlood` once when the other side sends more such frames than it can have a reason for.
 * @returns a function to be given each stream: Node tells priorities of one that exists to the stream, not to the session
 */
export function watchFloods(
  session: Http2Session,
  socket: WebSocket,
  onFlood: (reason: string) => void
): (stream: Http2Stream) => void {
  let count = 0
  let sinceMs = performance.now()
  const note = () => {
    count += 1
    if (count <= MAX_IDLE_FRAMES) return
    const nowMs = performance.now()
    if (nowMs - sinceMs < WITHIN_MS) {
      for (const frame of IDLE_FRAMES) session.off(frame, note)
      socket.off('ping', note)
      onFlood('it flooded the link with control frames')
    }
    count = 0
    sinceMs = nowMs
  }
  for (const frame of IDLE_FRAMES) session.on(frame, note)
  socket.on('ping', note)
  return stream => stream.on('priority', note)
}
