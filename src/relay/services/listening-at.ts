import type { Server } from 'node:net'
import type { Config, ListenAddress } from '../../config/config.js'
import { hostAndPort } from '../../network/host-and-port.js'
import { listenFailure } from '../../network/listen-failure.js'
import type { CallerLimits } from '../../services/entry/caller-connection.js'
import type { ListenerConnections } from '../../services/entry/service-listener.js'

const IDLE_MS = 75_000

/** The time limits of callers' connections. */
export function callerLimits({ limits }: Pick<Config, 'limits'>): CallerLimits {
  return { headMs: limits.headersTimeoutMs, idleMs: IDLE_MS }
}

/** Has a server listen. @param setting of the address @throws {Error} naming it, when it cannot listen there */
export function bindListener(setting: string, server: Server, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => reject(listenFailure(setting, { host, port }, error))
    server.once('error', onError)
    server.listen({ host, port }, () => {
      server.off('error', onError)
      resolve()
    })
  })
}

/** The address of a server as bound. */
export function boundAddress(server: Server): string {
  const address = server.address()
  return typeof address === 'object' && address !== null ? hostAndPort(address.address, address.port) : ''
}

/** Takes no further connections, and ends those that are left. */
export async function closeListener({
  server,
  connections
}: {
  readonly server: Server
  readonly connections: ListenerConnections
}): Promise<void> {
  const closed = new Promise<void>(resolve => server.close(() => resolve()))
  connections.cut()
  await closed
}
