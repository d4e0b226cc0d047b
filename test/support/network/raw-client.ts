import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { connect as connectTls } from 'node:tls'
import type { TreeRelay } from '../../../demo/relay-tree.js'

/** A connection whose bytes the test writes itself. */
export interface RawClient {
  readonly socket: Socket
  /** Sends, without waiting for anything. */
  send(bytes: string | Buffer): void
  /** All that came so far. */
  readonly text: () => string
  /** Resolves with all that came, once that `matches`, or once the connection is closed. */
  until(matches: RegExp): Promise<string>
  /** Resolves with all that came, once the relay has closed the connection. */
  readonly closed: Promise<string>
}

/** Opens a connection to the plain listener, or with `tls` to the other one. It is closed with the test. */
export async function rawClient(t: TestContext, relay: TreeRelay, tls = false): Promise<RawClient> {
  const { hostname: host, port } = new URL(tls ? relay.url : relay.localUrl)
  const socket = tls
    ? connectTls({ host, port: Number(port), rejectUnauthorized: false })
    : connect({ host, port: Number(port) })
  t.after(() => socket.destroy())
  socket.on('error', () => undefined) // a reset ends it as well
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  const text = () => Buffer.concat(chunks).toString('latin1')
  const closed = new Promise<string>(resolve => {
    socket.on('close', () => resolve(text()))
  })
  await once(socket, tls ? 'secureConnect' : 'connect')
  return {
    socket,
    send: bytes => {
      socket.write(bytes)
    },
    text,
    until: async matches => {
      while (!matches.test(text()) && !socket.destroyed && !socket.readableEnded) {
        await new Promise<void>(resolve => {
          const look = () => {
            socket.off('data', look)
            socket.off('close', look)
            socket.off('end', look)
            resolve()
          }
          socket.once('data', look).once('close', look).once('end', look)
        })
      }
      return text()
    },
    closed
  }
}

/** Sends `bytes` on a new connection. @returns all that the relay says until it closes it */
export async function exchangeRaw(
  t: TestContext,
  relay: TreeRelay,
  bytes: string | Buffer,
  tls = false
): Promise<string> {
  const client = await rawClient(t, relay, tls)
  client.send(bytes)
  return client.closed
}

/** The status codes of all answers in `text`, in order. */
export function statusesIn(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) [A-Za-z -]+\r\n/g)].map(match => Number(match[1]))
}

/** The head of a request: its lines, and the empty one. */
export function head(...lines: readonly string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n`
}
