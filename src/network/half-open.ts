import type { Server } from 'node:http'

/**
 * Has a server answer a caller that shuts down its sending side after its request (RFC 9112, section 9.6). Once it has
 * what is under way, or at once if nothing is, Node closes the connection. The property is not in Node's types.
 */
export function answerHalfClosed(server: Server): void {
  Object.assign(server, { httpAllowHalfOpen: true })
}
