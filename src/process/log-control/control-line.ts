import type { Socket } from 'node:net'
import { MAX_CONTROL_LINE_BYTES } from './control-messages.js'

/** How long either side waits for the other's line. */
const LINE_WITHIN_MS = 5_000

/**
 * Reads one line, to its end or that of the stream.
 * @throws {Error} where it does not come within 5 s, is longer than {@link MAX_CONTROL_LINE_BYTES}, or the socket fails
 */
export async function readControlLine(socket: Socket): Promise<string> {
  let text = ''
  socket.setEncoding('utf8')
  const limit = setTimeout(() => socket.destroy(new Error('no line came in time')), LINE_WITHIN_MS)
  try {
    for await (const part of socket.iterator({ destroyOnReturn: false })) {
      text += String(part)
      const end = text.indexOf('\n')
      if (end >= 0) return text.slice(0, end)
      if (text.length > MAX_CONTROL_LINE_BYTES) throw new Error('the line is too long')
    }
    return text
  } finally {
    clearTimeout(limit)
  }
}
