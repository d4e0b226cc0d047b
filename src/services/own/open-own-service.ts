import type { ConnectionOptions } from 'node:tls'
import type { ServiceConfig } from '../../config/services/service-config.js'
import type { Logger } from '../../values/logging/logger.js'
import { createHttpService } from '../edge/http-service.js'
import type { Sealing } from '../sealing/sealed-fields.js'
import { clusterService } from './cluster-service.js'
import { openOwnSecrets } from './own-secrets.js'
import type { OwnService } from './own-service.js'

export interface OwnServiceOptions {
  /** The id of this node or relay. */
  readonly selfId: string
  /** Undefined: sealed headers pass as they are. */
  readonly sealing: Sealing | undefined
  readonly logger: Logger
}

const TRUSTED: ConnectionOptions = {}
const INSECURE: ConnectionOptions = { rejectUnauthorized: false }

/**
 * Opens a service. Does not reject: what its credentials need may come later.
 */
export async function openOwnService(
  config: ServiceConfig,
  { selfId, sealing, logger }: OwnServiceOptions
): Promise<OwnService> {
  const { key, type, url, protocol, isInsecure, keepsHost, responseTimeoutMs, isOpsmx } = config
  const options = {
    key,
    protocol,
    keepsHost,
    responseTimeoutMs,
    opening: sealing === undefined ? undefined : { sealing, isFiat: type === 'fiat' },
    agentName: isOpsmx ? selfId : undefined,
    tls: () => (isInsecure ? INSECURE : TRUSTED),
    logger,
    onAnswered: () => undefined
  }
  const secrets = await openOwnSecrets(config, { key, logger })
  if (secrets.cluster !== undefined) return clusterService(secrets.cluster, options)
  if (url === undefined) throw new TypeError(`the service ${key} has neither a URL nor a cluster`)
  const service = createHttpService({
    ...options,
    baseUrl: new URL(url),
    credentials: secrets.credentials,
    aws: secrets.aws
  })
  return {
    take: service.take,
    retire: () => {
      service.renewConnections()
      secrets.close()
    },
    close: () => {
      service.close()
      secrets.close()
    }
  }
}
