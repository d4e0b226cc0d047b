import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

/** Below those that a system gives to outgoing connections: a port that a relay is to have again stays free meanwhile. */
const FIRST = 10_240
const LAST = 32_000

/**
 * The same ports at each start, for whoever calls this first: one port more is held until this process ends, and another process that
 * finds it taken gets `freePorts`, as does one that finds any of the others taken.
 */
export async function usualPorts(first: number, count: number): Promise<number[]> {
  const guard = await hold(first)
  if (guard === undefined) return freePorts(count)
  guard.server.unref()
  const ports = Array.from({ length: count }, (_, index) => first + 1 + index)
  const held = await Promise.all(ports.map(hold))
  await Promise.all(
    held.map(async one => {
      one?.server.close()
      await one?.closed
    })
  )
  return held.includes(undefined) ? freePorts(count) : ports
}

/** Ports of 127.0.0.1 that nobody listens on now. They are told apart by being held all at once. */
export async function freePorts(count: number): Promise<number[]> {
  const held = await Promise.all(Array.from({ length: count }, holdOne))
  for (const { server } of held) server.close()
  await Promise.all(held.map(({ closed }) => closed))
  return held.map(({ port }) => port)
}

interface Held {
  readonly port: number
  readonly server: Server
  readonly closed: Promise<unknown>
}

async function holdOne(): Promise<Held> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST))
    if (!(await reserve(port))) continue
    const held = await hold(port)
    if (held !== undefined) return held
  }
}

/**
 * Keeps a port for this process until it ends, as all that call `freePorts` ask the same: its UDP side is taken. A relay that is
 * away for the moment would find that another process has its port.
 * @returns whether nobody has it
 */
async function reserve(port: number): Promise<boolean> {
  const guard = createSocket('udp4').unref()
  guard.bind({ port, address: '127.0.0.1', exclusive: true })
  try {
    await once(guard, 'listening')
    return true
  } catch {
    guard.close()
    return false
  }
}

/** @returns undefined when another program listens there */
async function hold(port: number): Promise<Held | undefined> {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
    return { port, server, closed: once(server, 'close') }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    return undefined
  }
}
