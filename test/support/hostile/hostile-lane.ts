import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import type { TestContext } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { fingerprint } from '../../../src/keys/certificates/fingerprint.js'
import { LANE_PROTOCOL, REGISTER_PATH } from '../../../src/links/wire/protocol.js'

/** A connection to the place where a relay takes lanes of raw bytes, whose lines and bytes the test writes itself. */
export interface HostileLane {
  readonly socket: TLSSocket
  /** SHA-256 of the relay's certificate. */
  readonly seen: string
  /** The next line. */
  next(): Promise<string>
  /** Sends a line. */
  send(line: string): Promise<void>
  /** All bytes behind the lines that were asked for. */
  readonly bytes: () => Buffer
  /** Resolves once it is gone. */
  readonly closed: Promise<void>
}

/** Opens one; it is closed with the test. @param url `https://host:port` @throws {Error} for any answer but 101 */
export async function openHostileLane(t: TestContext, url: string): Promise<HostileLane> {
  const asked = request(`${url.replace(/^wss/, 'https')}${REGISTER_PATH}`, {
    rejectUnauthorized: false,
    agent: false,
    headers: { connection: 'Upgrade', upgrade: LANE_PROTOCOL }
  }).end()
  const refused = once(asked, 'response').then(([{ statusCode }]) => {
    throw new Error(`answered ${statusCode}`)
  })
  const upgraded = once(asked, 'upgrade') as Promise<[IncomingMessage, TLSSocket, Buffer]>
  const [, socket, head] = await Promise.race([upgraded, refused])
  refused.catch(() => undefined)
  t.after(() => socket.destroy())
  let came = head
  socket.on('error', () => undefined)
  socket.on('data', chunk => {
    came = Buffer.concat([came, chunk])
    socket.emit('came')
  })
  socket.on('end', () => socket.emit('came'))
  const closed = new Promise<void>(resolve => {
    socket.once('close', () => {
      resolve()
      socket.emit('came')
    })
  })
  const lineEnd = () => came.indexOf('\n')
  return {
    socket,
    seen: fingerprint(socket.getPeerCertificate().raw),
    bytes: () => came,
    closed,
    next: async () => {
      while (lineEnd() === -1 && !socket.readableEnded && !socket.destroyed) await once(socket, 'came')
      const end = lineEnd()
      if (end === -1) return '(closed)'
      const line = came.toString('utf8', 0, end)
      came = came.subarray(end + 1)
      return line
    },
    send: line => new Promise(resolve => socket.write(`${line}\n`, () => resolve()))
  }
}
