import type { ConnectionOptions } from 'node:tls'
import type { ServiceConfig } from '../../config/services/service-config.js'
import type { Logger } from '../../values/logging/logger.js'
import { openCredentials } from '../credentials/open-credentials.js'
import { createHttpService } from '../edge/http-service.js'
import type { TakeKind } from '../streams/stream-kinds.js'

/** A service of a `[[service]]`. */
export interface OwnService {
  readonly take: TakeKind
  /** Is not used for further requests; those under way go on. */
  retire(): void
  /** Ends all requests. */
  close(): void
}

const TRUSTED: ConnectionOptions = {}
const INSECURE: ConnectionOptions = { rejectUnauthorized: false }

/** Opens a service. Does not reject: what its credentials need may come later. */
export async function openOwnService(config: ServiceConfig, logger: Logger): Promise<OwnService> {
  const { key, url, isInsecure, keepsHost, responseTimeoutMs } = config
  const credentials = await openCredentials(config, { key, logger })
  const service = createHttpService({
    baseUrl: new URL(url),
    key,
    keepsHost,
    responseTimeoutMs,
    tls: () => (isInsecure ? INSECURE : TRUSTED),
    credentials,
    logger,
    onAnswered: () => undefined
  })
  return {
    take: service.take,
    retire: () => {
      service.renewConnections()
      credentials?.close()
    },
    close: () => {
      service.close()
      credentials?.close()
    }
  }
}
