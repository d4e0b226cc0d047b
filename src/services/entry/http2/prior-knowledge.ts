import type { Socket } from 'node:net'

/** The bytes with which a connection in HTTP/2 begins (RFC 9113, 3.4). */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

/**
 * Looks at the first bytes of a plain connection, which it leaves to be read.
 * @param limitMs the time for them; then the connection is closed
 * @param onKnown told whether the caller speaks HTTP/2 without having asked (RFC 9113, 3.3)
 */
export function tellVersion(socket: Socket, limitMs: number, onKnown: (isHttp2: boolean) => void): void {
  let seen: Buffer = Buffer.alloc(0)
  const timer = setTimeout(() => socket.destroy(), limitMs).unref()
  const stop = () => {
    clearTimeout(timer)
    socket.off('data', look)
    socket.off('end', close)
    socket.off('error', close)
    socket.off('close', stop)
  }
  const close = () => {
    stop()
    socket.destroy()
  }
  const look = (chunk: Buffer) => {
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk])
    const length = Math.min(seen.length, PREFACE.length)
    const isPreface = PREFACE.compare(seen, 0, length, 0, length) === 0
    if (isPreface && length < PREFACE.length) return
    stop()
    socket.pause()
    socket.unshift(seen)
    onKnown(isPreface)
    if (!isPreface) socket.resume() // HTTP/2 reads by itself
  }
  socket.on('data', look)
  socket.once('end', close)
  socket.once('error', close)
  socket.once('close', stop)
}
