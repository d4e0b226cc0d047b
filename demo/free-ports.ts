import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

/** Below those that a system gives to outgoing connections: a port that a relay is to have again stays free meanwhile. */
const FIRST = 10_240
const LAST = 32_000

/** Ports of 127.0.0.1 that nobody listens on now. They are told apart by being held all at once. */
export async function freePorts(count: number): Promise<number[]> {
  const held = await Promise.all(Array.from({ length: count }, holdOne))
  for (const { server } of held) server.close()
  await Promise.all(held.map(({ closed }) => closed))
  return held.map(({ port }) => port)
}

async function holdOne(): Promise<{ port: number; server: Server; closed: Promise<unknown> }> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST))
    const server = createServer().listen(port, '127.0.0.1')
    try {
      await once(server, 'listening')
      return { port, server, closed: once(server, 'close') }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    }
  }
}
