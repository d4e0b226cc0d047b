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
  /** From now on so much passes on each connection from its far end, and what comes after waits. */
  holdBeyond(bytes: number): void
  /** Connections on which something waits for that reason. */
  readonly held: number
  /** Ends `silence` and `holdBeyond`: what waited passes. */
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
  let holdBeyondBytes = Number.POSITIVE_INFINITY
  let held = 0
  let isOver = false

  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
  }
  /** Resolves when packets pass again. */
  const passage = () =>
    isSilent && !isOver ? new Promise<void>(resolve => waiting.add(resolve)) : Promise.resolve(undefined)

  /** Resolves when a connection may carry more than `bytes`. */
  async function allowance(bytes: number): Promise<void> {
    if (bytes <= holdBeyondBytes || isOver) return
    held += 1
    await new Promise<void>(resolve => waiting.add(resolve))
    held -= 1
  }

  async function pass(from: Socket, to: Socket, isFromFar: boolean): Promise<void> {
    let bytes = 0
    try {
      for await (const chunk of from) {
        bytes += chunk.length
        if (isFromFar) await allowance(bytes)
        if (delayMs > 0) await new Promise(resolve => setTimeout(resolve, delayMs))
        await passage()
        if (toHalve.has(from)) {
          to.write(chunk.subarray(0, Math.ceil(chunk.length / 2)), () => to.destroy())
          break
        }
        if (!to.write(chunk) && !to.destroyed) await drained(to)
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
      void pass(near, far, false)
      void pass(far, near, true)
    })
  })
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  const heal = () => {
    isSilent = false
    holdBeyondBytes = Number.POSITIVE_INFINITY
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
    holdBeyond: bytes => {
      holdBeyondBytes = bytes
    },
    get held() {
      return held
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

/** Resolves when more may be written, or never again. */
async function drained(socket: Socket): Promise<void> {
  const over = new AbortController()
  const { signal } = over
  await Promise.race([once(socket, 'drain', { signal }), once(socket, 'close', { signal })])
  over.abort()
}
