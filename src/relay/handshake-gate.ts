import type { Server as HttpsServer } from 'node:https'
import { createServer, type Server, type Socket } from 'node:net'

/**
 * TLS handshakes at once. Each takes about a millisecond of the event loop, and it takes all that are ready in one
 * turn: when thousands of links come back at the same moment, requests of others would wait for seconds.
 */
const MAX_HANDSHAKES = 16
/** Whoever needs longer, or says nothing at all, keeps nobody else out: it is the event loop that is shared here. */
const TURN_MS = 100

/**
 * A TCP server in front of a TLS one that lets connections begin their handshake in the order in which they came, a few
 * at a time. It is this one that listens and is closed; whoever waits at its closing is dropped.
 */
export function createHandshakeGate(tls: HttpsServer): Server {
  const waiting = new Set<Socket>()
  /** By the caller's address and port. */
  const shaking = new Map<string, Socket>()
  const server = createServer({ pauseOnConnect: true, noDelay: true }, socket => {
    const name = nameOf(socket)
    waiting.add(socket)
    socket.once('error', () => socket.destroy())
    socket.once('close', () => {
      waiting.delete(socket)
      if (shaking.get(name) === socket) leave(name)
    })
    admit()
  })

  function admit(): void {
    for (const socket of waiting) {
      if (shaking.size >= MAX_HANDSHAKES) return
      waiting.delete(socket)
      const name = nameOf(socket)
      shaking.set(name, socket)
      setTimeout(() => {
        if (shaking.get(name) === socket) leave(name)
      }, TURN_MS).unref()
      tls.emit('connection', socket)
    }
  }

  function leave(name: string): void {
    if (shaking.delete(name)) setImmediate(admit) // others have their turn first
  }

  // Only then does Node begin to look for requests whose headers do not come (`headersTimeout`).
  server.on('listening', () => tls.emit('listening'))
  tls.on('secureConnection', (socket: Socket) => leave(nameOf(socket)))
  server.on('close', () => {
    for (const socket of waiting) socket.destroy()
  })
  return server
}

function nameOf({ remoteAddress = '', remotePort = 0 }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
