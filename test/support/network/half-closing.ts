import { once } from 'node:events'
import { readdir, readlink } from 'node:fs/promises'
import { connect, type NetConnectOpts, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { connect as connectTls } from 'node:tls'

/** A place at which a relay listens, and its kind. */
export interface Way {
  readonly name: string
  readonly to: NetConnectOpts
  readonly tls?: { readonly cert: string; readonly key: string }
}

/** Opens a connection; it is closed with the test. */
export async function openWay(t: TestContext, { to, tls }: Way): Promise<Socket> {
  const socket = tls === undefined ? connect(to) : connectTls({ ...to, ...tls, rejectUnauthorized: false })
  t.after(() => socket.destroy())
  socket.on('error', () => undefined) // `close` follows
  await once(socket, tls === undefined ? 'connect' : 'secureConnect')
  return socket
}

/** All that comes until the other side closes. */
export async function untilClosed(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  if (!socket.closed) await once(socket, 'close')
  return text
}

/** Sends a request, and says that nothing more comes. @returns all that is answered until the other side closes too */
export async function askHalfClosed(t: TestContext, way: Way, request: string | Buffer): Promise<string> {
  const socket = await openWay(t, way)
  const answer = untilClosed(socket)
  socket.end(request)
  return answer
}

/** How many sockets a process holds. */
export async function socketsOf(pid: number): Promise<number> {
  const folder = `/proc/${pid}/fd`
  const targets = await Promise.all((await readdir(folder)).map(fd => readlink(`${folder}/${fd}`).catch(() => '')))
  return targets.filter(target => target.startsWith('socket:')).length
}
