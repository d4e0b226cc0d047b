import { Socket } from 'node:net'

/**
 * The socket that a connection was accepted with: the connection itself, or what the TLS over it reads from. Address
 * and port do not tell it: where reading is stopped, a caller may have gone and come again from the same port before its
 * former connection is closed here.
 */
export function rawSocketOf(connection: Socket): Socket {
  const parent: unknown = Reflect.get(connection, '_parent') // of a TLSSocket, which has no public name for it
  return parent instanceof Socket ? parent : connection
}
