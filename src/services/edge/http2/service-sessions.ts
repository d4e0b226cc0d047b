import type { ConnectionOptions } from 'node:tls'
import type { ServiceChannel, ServiceChannels } from '../service-channel.js'
import type { ServiceAddress } from '../service-sockets.js'
import { ServiceSession } from './service-session.js'
import { ServiceStream } from './service-stream.js'

/** Connections to one service in HTTP/2. A further one is opened where the others have as many requests as the service allows. */
const MAX_SESSIONS = 16

/** The connections to one service in HTTP/2, shared by all requests. */
export class ServiceSessions implements ServiceChannels {
  readonly #all = new Set<ServiceSession>()
  #usedTls: ConnectionOptions | undefined
  #isClosed = false

  /** @param tls asked for each exchange; another object once they have changed: former connections are not used again */
  constructor(
    private readonly address: ServiceAddress,
    private readonly tls: () => ConnectionOptions
  ) {}

  take(isNew: boolean): ServiceChannel {
    const tls = this.tls()
    if (tls !== this.#usedTls) this.renew()
    this.#usedTls = tls
    return new ServiceStream(() => this.#pick(isNew, tls), this.address.isTls ? 'https' : 'http')
  }

  renew(): void {
    for (const session of this.#all) session.retire()
  }

  /** Ends all exchanges, and those that are still to come. */
  close(): void {
    this.#isClosed = true
    for (const session of this.#all) session.breakOff('the service is not offered any more')
  }

  #pick(isNew: boolean, tls: ConnectionOptions): ServiceSession {
    const usable = [...this.#all].filter(({ takesMore, hasAnswered }) => takesMore && !(isNew && hasAnswered))
    const roomy = usable.find(({ hasRoom }) => hasRoom)
    if (roomy !== undefined) return roomy
    const [leastBusy] = usable.sort((a, b) => a.count - b.count)
    return leastBusy === undefined || this.#all.size < MAX_SESSIONS ? this.#open(tls) : leastBusy
  }

  #open(tls: ConnectionOptions): ServiceSession {
    const session: ServiceSession = new ServiceSession(this.address, tls, () => this.#all.delete(session))
    this.#all.add(session)
    if (this.#isClosed) session.breakOff('the service is not offered any more')
    return session
  }
}
