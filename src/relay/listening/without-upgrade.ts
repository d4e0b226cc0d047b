import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

/**
 * Bytes behind a request that offers a protocol. While requests that do so are handed in one after another, Node reads on; a
 * client that waits for the answer to its offer has sent no more than a body's beginning.
 */
export const MAX_BYTES_BEHIND_OFFER = 256 * 1024

interface Offer {
  readonly request: IncomingMessage
  /** The target of the request, as it came. */
  readonly target: string
  readonly socket: Duplex
  /** The bytes behind the head. */
  readonly head: Buffer
}

/**
 * Puts a request that offers a protocol we don't speak back before its connection, as if it had not: a client may offer
 * `h2c` with each of its requests and be content with HTTP/1.1 (RFC 9110, section 7.8). Node has stopped reading it by
 * then, so the connection is to be handed in anew. Until that, the end of the connection waits behind these bytes.
 * @returns false where there is too much behind the request: the connection has ended
 */
export function putBackWithoutOffer({ request, target, socket, head }: Offer): boolean {
  if (head.length + socket.readableLength > MAX_BYTES_BEHIND_OFFER) {
    socket.destroy()
    return false
  }
  const lines = [`${request.method} ${target} HTTP/${request.httpVersion}`]
  for (let at = 0; at + 1 < request.rawHeaders.length; at += 2) {
    const name = request.rawHeaders[at] ?? ''
    const value = withoutOffer(name.toLowerCase(), request.rawHeaders[at + 1] ?? '')
    if (value !== undefined) lines.push(`${name}: ${value}`)
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]))
  return true
}

function withoutOffer(name: string, value: string): string | undefined {
  if (name === 'upgrade' || name === 'http2-settings') return undefined
  if (name !== 'connection') return value
  const left = value.split(',').filter(token => !/^\s*(upgrade|http2-settings)\s*$/i.test(token))
  return left.length === 0 ? undefined : left.join(',')
}
