import { connect as connectPlain, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'

/** The address of a service. */
export interface ServiceAddress {
  readonly host: string
  readonly port: number
  readonly isTls: boolean
}

export interface OpeningSocket {
  readonly socket: Socket
  /** The event by which the socket tells that it is connected. */
  readonly connected: 'connect' | 'secureConnect'
  /** Ends the time limit. */
  readonly isInTime: () => void
}

const CONNECT_TIMEOUT_MS = 10_000

/**
 * Begins to connect to a service. A connection that takes longer than 10 s fails.
 * @param protocols for ALPN
 */
export function openServiceSocket(
  { host, port, isTls }: ServiceAddress,
  tls: ConnectionOptions,
  protocols: readonly string[]
): OpeningSocket {
  const shared = { host, port, allowHalfOpen: true }
  const servername = /^[\d.]+$|:/.test(host) ? {} : { servername: host }
  const socket = isTls
    ? connectTls({ ...shared, ...servername, ALPNProtocols: [...protocols], ...tls })
    : connectPlain(shared)
  const timer = setTimeout(() => {
    socket.destroy(Object.assign(new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`), { code: 'ETIMEDOUT' }))
  }, CONNECT_TIMEOUT_MS)
  const isInTime = () => clearTimeout(timer)
  socket.once('close', isInTime)
  return { socket, connected: isTls ? 'secureConnect' : 'connect', isInTime }
}
