import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

export interface TcpProxy {
  readonly port: number
  /** Connections through it. */
  readonly open: number
  /** Ends all connections, as a network does that breaks. */
  cut(): void
  /** From now on nothing passes, in either direction, and nobody is told: as when packets are dropped. */
  silence(): void
  /** Ends `silence`: what waited passes. */
  heal(): void
  /** Ends each connection within the next piece that it carries: half of it still passes. */
  halve(): void
  /** How long each piece is kept. */
  delay(ms: number): void
}

/** Hands TCP connections on to a port of loopback. */
export async function startTcpProxy(t: TestContext, targetPort: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>()
  const waiting = new Set<() => void>()
  let isSilent = false
  let toHalve = new Set<Socket>()
  let delayMs = 0
  let isOver = false

  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
  }
  /** Resolves when packets pass again. */
  const passage = () =>
    isSilent && !isOver ? new Promise<void>(resolve => waiting.add(resolve)) : Promise.resolve(undefined)

  async function pass(from: Socket, to: Socket): Promise<void> {
    try {
      for await (const chunk of from) {
        if (delayMs > 0) await new Promise(resolve => setTimeout(resolve, delayMs))
        await passage()
        if (toHalve.has(from)) {
          to.write(chunk.subarray(0, Math.ceil(chunk.length / 2)), () => to.destroy())
          break
        }
        if (!to.write(chunk) && !to.destroyed) await Promise.race([once(to, 'drain'), once(to, 'close')])
      }
      await passage()
      to.end()
    } catch {
      await passage()
      to.destroy()
    }
  }

  const server = createServer({ allowHalfOpen: true }, near => {
    keep(near)
    void passage().then(() => {
      if (near.destroyed) return
      const far = connect({ host: '127.0.0.1', port: targetPort, allowHalfOpen: true })
      keep(far)
      near.on('close', () => void passage().then(() => far.destroy()))
      far.on('close', () => void passage().then(() => near.destroy()))
      void pass(near, far)
      void pass(far, near)
    })
  })
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  const heal = () => {
    isSilent = false
    for (const resolve of waiting) resolve()
    waiting.clear()
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    isOver = true
    server.close()
    cut()
    heal()
  })
  const address = server.address() as AddressInfo
  return {
    port: address.port,
    get open() {
      return sockets.size / 2
    },
    cut,
    silence: () => {
      isSilent = true
    },
    heal,
    halve: () => {
      toHalve = new Set(sockets)
    },
    delay: ms => {
      delayMs = ms
    }
  }
}
