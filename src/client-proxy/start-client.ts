import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { ListenAddress } from '../config/config.js'
import type { ServiceProtocol } from '../config/services/service-protocol.js'
import { Dialer } from '../links/lower/dialer.js'
import { LowerLink } from '../links/lower/lower-link.js'
import { warnWithoutMaskingAddon } from '../links/lower/masking-addon.js'
import { VERSION } from '../process/version.js'
import { createHttpService } from '../services/edge/http-service.js'
import type { Trust } from '../services/edge/service-connections.js'
import { StreamKinds } from '../services/streams/stream-kinds.js'
import type { Logger } from '../values/logging/logger.js'
import { createClientMetrics } from './client-metrics.js'
import { startHealthServer } from './health-server.js'

export interface ClientOptions {
  /** `wss://host:port`, perhaps with a path below which the relay is found; without a slash at its end. */
  readonly serverUrl: string
  readonly baseUrl: URL
  /** The version of HTTP that the base URL takes. @default 'http/1.1' */
  readonly protocol?: ServiceProtocol
  readonly clientKey: string
  readonly clientId: string
  readonly secrets: ClientSecrets
  /** Lines of the log that could not be written. */
  readonly lostLogLines: () => number
  readonly healthListen: ListenAddress
  readonly logger: Logger
}

/** Secrets from files that may be replaced while the client runs. */
export interface ClientSecrets {
  /** A secret. */
  readonly token: string
  /** PEM; undefined: what Node trusts. */
  readonly ca: readonly string[] | undefined
}

export interface RunningClient {
  /** The address at which the health server listens. */
  readonly healthAddress: string
  /** The link is opened anew when they differ. @returns whether they did */
  replaceSecrets(secrets: ClientSecrets): boolean
  /** Lets requests under way finish for a while, then ends everything. */
  stop(): Promise<void>
}

const DRAIN_LIMIT_MS = 10_000
const LOOK_EVERY_MS = 20

/**
 * Holds a link to a relay under a client key, and sends what comes over it on to the base URL.
 * @throws {Error} when the health server cannot listen
 */
export async function startClient(options: ClientOptions): Promise<RunningClient> {
  const { serverUrl, baseUrl, protocol, clientKey, clientId, healthListen, lostLogLines, logger } = options
  let { secrets } = options
  await warnWithoutMaskingAddon(logger)
  let tls = trustIn(secrets)
  const metrics = createClientMetrics({
    isConnected: () => dialer.status.isConnected,
    activeRequests: () => end.activeRequests,
    lostLogLines
  })
  const service = createHttpService({ baseUrl, protocol, tls: () => tls, logger, onAnswered: metrics.answered })
  const end = new LowerLink({
    routing: (_request, response) => void response.writeHead(404).end(), // requests to the service come as streams
    openLane: (linkId, purpose) => dialer.openLane(linkId, purpose),
    takeStream: new StreamKinds(`client ${clientKey}/${clientId}`).on('http', service.take).take
  })
  const dialer = new Dialer({
    upper: async () => ({ url: serverUrl, tls, pins: undefined }),
    handshake: async () => ({
      credentials: { client: { key: clientKey, id: clientId, token: secrets.token } },
      program: VERSION
    }),
    end,
    logger
  })
  dialer.onChange(({ isConnected }) => {
    if (isConnected) metrics.connected()
  })
  const health = await startHealthServer({
    ...healthListen,
    isReady: () => dialer.status.isConnected,
    metrics: metrics.text
  })
  dialer.start()
  const { address, port, family } = health.address
  return {
    healthAddress: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    replaceSecrets: other => {
      if (isDeepStrictEqual(other, secrets)) return false
      const isOtherTrust = !isDeepStrictEqual(other.ca, secrets.ca)
      secrets = other
      tls = trustIn(other)
      if (isOtherTrust) service.renewConnections()
      dialer.redial('the token or the certificates to trust were replaced')
      return true
    },
    async stop() {
      const untilMs = performance.now() + DRAIN_LIMIT_MS
      while (end.activeRequests > 0 && performance.now() < untilMs) await sleep(LOOK_EVERY_MS)
      await dialer.stop()
      end.close()
      service.close()
      await health.close()
    }
  }
}

function trustIn({ ca }: ClientSecrets): Trust {
  return ca === undefined ? {} : { ca: [...ca], allowPartialTrustChain: true }
}
