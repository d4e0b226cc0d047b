import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { ListenAddress } from '../config/config.js'
import { Dialer } from '../links/lower/dialer.js'
import { LowerLink } from '../links/lower/lower-link.js'
import { warnWithoutMaskingAddon } from '../links/lower/masking-addon.js'
import { VERSION } from '../process/version.js'
import type { Logger } from '../values/logging/logger.js'
import { createBaseUrlProxy, type Trust } from './base-url-proxy.js'
import { createClientMetrics } from './client-metrics.js'
import { startHealthServer } from './health-server.js'

export interface ClientOptions {
  /** `wss://host:port`, perhaps with a path below which the relay is found; without a slash at its end. */
  readonly serverUrl: string
  readonly baseUrl: URL
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
  const { serverUrl, baseUrl, clientKey, clientId, healthListen, lostLogLines, logger } = options
  let { secrets } = options
  await warnWithoutMaskingAddon(logger)
  let tls = trustIn(secrets)
  const metrics = createClientMetrics({
    isConnected: () => dialer.status.isConnected,
    activeRequests: () => end.activeRequests,
    lostLogLines
  })
  const proxy = createBaseUrlProxy({ baseUrl, tls, logger, onAnswered: metrics.answered })
  const end = new LowerLink({
    routing: proxy.listener,
    openLane: (linkId, purpose) => dialer.openLane(linkId, purpose)
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
      if (isOtherTrust) proxy.trust(tls)
      dialer.redial('the token or the certificates to trust were replaced')
      return true
    },
    async stop() {
      const untilMs = performance.now() + DRAIN_LIMIT_MS
      while (end.activeRequests > 0 && performance.now() < untilMs) await sleep(LOOK_EVERY_MS)
      await dialer.stop()
      end.close()
      await Promise.all([proxy.close(), health.close()])
    }
  }
}

function trustIn({ ca }: ClientSecrets): Trust {
  return ca === undefined ? {} : { ca: [...ca], allowPartialTrustChain: true }
}
