import { connect, type Socket } from 'node:net'
import type { TreeRelay } from '../../../demo/relay-tree.js'

export interface RawAnswer {
  readonly status: number
  /** All that came, to the end of the connection. */
  readonly text: string
}

/**
 * Sends bytes as they are to a relay's plain listener: what no HTTP client would send, or would change on the way.
 * @param request with its line ends; should ask for `connection: close`
 */
export async function sendRaw(relay: TreeRelay, request: string | Buffer): Promise<RawAnswer> {
  const socket = connectTo(relay)
  socket.write(request)
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0), text }
}

/** A request without a body whose path is sent exactly so. */
export function rawRequest(relay: TreeRelay, method: string, path: string, headers: readonly string[] = []) {
  const lines = [`${method} ${path} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...headers, '', '']
  return sendRaw(relay, lines.join('\r\n'))
}

export function connectTo(relay: TreeRelay): Socket {
  return connect({ host: '127.0.0.1', port: Number(new URL(relay.localUrl).port) })
}
