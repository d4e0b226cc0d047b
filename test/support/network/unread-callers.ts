import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { eventually } from '../eventually.js'
import { head } from './raw-client.js'

/** More than a Unix socket holds for a caller that does not read. */
export const MORE_THAN_A_SOCKET_HOLDS = 600_000

/**
 * Listens for local callers at a Unix socket, which holds little for a caller that does not read.
 * @param localSockets the relay's set of the connections of local callers
 * @returns the path of the socket
 */
export async function listenAtSocket(
  t: TestContext,
  app: FastifyInstance,
  localSockets: WeakSet<object>
): Promise<string> {
  app.server.prependListener('connection', socket => void localSockets.add(socket))
  const folder = mkdtempSync(join(tmpdir(), 'unread-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'socket')
  await app.listen({ path })
  return path
}

/**
 * Sends one request on each of `count` connections, and reads the beginning of its answer alone.
 * @returns the statuses, and a function that has the callers read all and resolves when they have
 */
export async function leaveUnread(
  t: TestContext,
  socketPath: string,
  target: string,
  count: number
): Promise<{ readonly statuses: readonly number[]; readAll(): Promise<void> }> {
  const statuses: number[] = []
  const clients = Array.from({ length: count }, () => {
    const client = connect(socketPath)
    t.after(() => client.destroy())
    client.on('error', () => undefined)
    client.setEncoding('latin1').once('data', (beginning: string) => {
      client.pause()
      statuses.push(Number(beginning.slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length)))
    })
    client.write(head(`GET ${target} HTTP/1.1`, 'Host: localhost', 'Connection: close'))
    return client
  })
  await eventually('the beginning of all answers', () => statuses.length === count)
  const readAll = async () => {
    for (const client of clients) client.resume()
    await eventually('all answers to be read', () => clients.every(client => client.destroyed))
  }
  return { statuses, readAll }
}
