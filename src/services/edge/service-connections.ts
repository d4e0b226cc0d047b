import { connect as connectPlain } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { ServiceConnection } from './service-connection.js'

/** The trust settings of TLS connections; empty: the certificates that Node trusts. */
export interface Trust {
  /** PEM. */
  readonly ca?: string[]
  /** A certificate may stand for itself, as one that is self-signed does. */
  readonly allowPartialTrustChain?: true
}

/** The address of a service. */
export interface ServiceAddress {
  readonly host: string
  readonly port: number
  readonly isTls: boolean
}

const CONNECT_TIMEOUT_MS = 10_000
/** Most servers close an unused connection after 5 s: ours is gone before, or a request would meet its end. */
const IDLE_LIMIT_MS = 4_000
/** Connections that nobody uses, kept for the next request. */
const MAX_IDLE = 256

/** The connections to one service, each used again where the service allows it. */
export class ServiceConnections {
  readonly #idle: ServiceConnection[] = []
  readonly #all = new Set<ServiceConnection>()
  /** The connections that another exchange may have. */
  readonly #reusable = new Set<ServiceConnection>()
  #usedTls: ConnectionOptions | undefined

  /** @param tls asked for each exchange; another object once they have changed: former connections are not used again */
  constructor(
    private readonly address: ServiceAddress,
    private readonly tls: () => ConnectionOptions
  ) {}

  /** A connection for one exchange; a new one is still being opened. @param isNew no connection that was used before */
  take(isNew = false): ServiceConnection {
    const tls = this.tls()
    if (tls !== this.#usedTls) this.renew()
    this.#usedTls = tls
    for (let idle = isNew ? undefined : this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      idle.closeAfter(0)
      if (idle.isOpen) return idle
    }
    return this.#open(tls)
  }

  /** Takes a connection back after an exchange. @param isComplete whether the whole request was sent */
  giveBack(connection: ServiceConnection, isComplete: boolean): void {
    if (!connection.release(isComplete)) return
    if (this.#idle.length >= MAX_IDLE || !this.#reusable.has(connection)) {
      connection.close()
      return
    }
    connection.closeAfter(IDLE_LIMIT_MS)
    this.#idle.push(connection)
  }

  /** Closes connections that nobody uses; the others are not used again. */
  renew(): void {
    for (const connection of this.#idle.splice(0)) connection.close()
    this.#reusable.clear()
  }

  close(): void {
    for (const connection of this.#all) connection.close()
    this.renew()
  }

  #open(tls: ConnectionOptions): ServiceConnection {
    const { host, port, isTls } = this.address
    const shared = { host, port, allowHalfOpen: true }
    const servername = /^[\d.]+$|:/.test(host) ? {} : { servername: host }
    const socket = isTls
      ? connectTls({ ...shared, ...servername, ALPNProtocols: ['http/1.1'], ...tls })
      : connectPlain(shared)
    const connected = isTls ? 'secureConnect' : 'connect'
    const connection: ServiceConnection = new ServiceConnection(socket, connected, () => {
      this.#all.delete(connection)
      this.#reusable.delete(connection)
      const index = this.#idle.indexOf(connection)
      if (index !== -1) this.#idle.splice(index, 1)
    })
    this.#all.add(connection)
    this.#reusable.add(connection)
    const timer = setTimeout(() => {
      socket.destroy(Object.assign(new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`), { code: 'ETIMEDOUT' }))
    }, CONNECT_TIMEOUT_MS)
    const stop = () => clearTimeout(timer)
    socket.once(connected, stop)
    socket.once('close', stop)
    return connection
  }
}
