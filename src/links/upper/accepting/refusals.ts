import type { Duplex } from 'node:stream'
import type { Transport } from '../../wire/transport.js'

/**
 * How long a caller that asked for a link may keep its connection without getting one: longer than the handshake, as a
 * refused one is to read why.
 */
const UNWELCOME_LIMIT_MS = 15_000

export interface LinkRefusal {
  /** The close code, one of `CLOSE`. */
  readonly code: number
  readonly reason: string
}

/** A close reason may have 123 bytes (RFC 6455, section 5.5), so the whole of it goes as a message. */
export function refuse(transport: Transport, { code, reason }: LinkRefusal): void {
  if (transport.isOpen) transport.send(JSON.stringify({ treeline: 'refused', reason }))
  transport.close(code)
}

/** Answers a request for a link that is not looked into. */
export function refuseUpgrade(socket: Duplex, status: string): void {
  const answer = `HTTP/1.1 ${status}\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n`
  socket.end(answer, () => socket.destroy()) // or it stays for as long as the other side likes
}

/**
 * Ends a connection that a link was asked for on, and on which none stands in time: its caller may read nothing of what
 * it is told, so that its end would never be sent.
 * @returns a function that ends this, for one that is welcome
 */
export function endUnlessWelcome(socket: Duplex): () => void {
  const timer = setTimeout(() => socket.destroy(), UNWELCOME_LIMIT_MS).unref()
  const stop = () => {
    clearTimeout(timer)
    socket.off('close', stop)
  }
  socket.once('close', stop)
  return stop
}
