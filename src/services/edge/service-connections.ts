import type { ConnectionOptions } from 'node:tls'
import type { ServiceChannels } from './service-channel.js'
import { ServiceConnection } from './service-connection.js'
import { openServiceSocket, type ServiceAddress } from './service-sockets.js'

/** The trust settings of TLS connections; empty: the certificates that Node trusts. */
export interface Trust {
  /** PEM. */
  readonly ca?: string[]
  /** A certificate may stand for itself, as one that is self-signed does. */
  readonly allowPartialTrustChain?: true
}

/** Most servers close an unused connection after 5 s: ours is gone before, or a request would meet its end. */
const IDLE_LIMIT_MS = 4_000
/** Connections that nobody uses, kept for the next request. */
const MAX_IDLE = 256

/** The connections to one service in HTTP/1, each used again where the service allows it. */
export class ServiceConnections implements ServiceChannels {
  readonly #idle: ServiceConnection[] = []
  readonly #all = new Set<ServiceConnection>()
  /** The connections that another exchange may have. */
  readonly #reusable = new Set<ServiceConnection>()
  #usedTls: ConnectionOptions | undefined
  #isClosed = false

  /** @param tls asked for each exchange; another object once they have changed: former connections are not used again */
  constructor(
    private readonly address: ServiceAddress,
    private readonly tls: () => ConnectionOptions
  ) {}

  take(isNew: boolean): ServiceConnection {
    const tls = this.tls()
    if (tls !== this.#usedTls) this.renew()
    this.#usedTls = tls
    for (let idle = isNew ? undefined : this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      idle.closeAfter(0)
      if (idle.isOpen) return idle
    }
    return this.#open(tls)
  }

  renew(): void {
    for (const connection of this.#idle.splice(0)) connection.close()
    this.#reusable.clear()
  }

  /** Ends all exchanges, and those that are still to come. */
  close(): void {
    this.#isClosed = true
    this.renew()
    for (const connection of this.#all) connection.breakOff('the service is not offered any more')
  }

  /** Keeps a connection for the next exchange. */
  #keep(connection: ServiceConnection): void {
    if (this.#idle.length >= MAX_IDLE || !this.#reusable.has(connection)) {
      connection.close()
      return
    }
    connection.closeAfter(IDLE_LIMIT_MS)
    this.#idle.push(connection)
  }

  #open(tls: ConnectionOptions): ServiceConnection {
    const { socket, connected, isInTime } = openServiceSocket(this.address, tls, ['http/1.1'])
    const onClosed = () => {
      this.#all.delete(connection)
      this.#reusable.delete(connection)
      const index = this.#idle.indexOf(connection)
      if (index !== -1) this.#idle.splice(index, 1)
    }
    const connection: ServiceConnection = new ServiceConnection(socket, connected, onClosed, () =>
      this.#keep(connection)
    )
    if (this.#isClosed) connection.breakOff('the service is not offered any more')
    this.#all.add(connection)
    this.#reusable.add(connection)
    socket.once(connected, isInTime)
    return connection
  }
}
