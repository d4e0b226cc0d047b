import type { ConnectionOptions } from 'node:tls'
import type { ServiceConfig } from '../../config/services/service-config.js'
import type { Logger } from '../../values/logging/logger.js'
import { createHttpService } from '../edge/http-service.js'
import { clusterService } from './cluster-service.js'
import { openOwnSecrets } from './own-secrets.js'
import type { OwnService } from './own-service.js'

const TRUSTED: ConnectionOptions = {}
const INSECURE: ConnectionOptions = { rejectUnauthorized: false }

/**
 * Opens a service. Does not reject: what its credentials need may come later.
 * @param selfId of this node or relay
 */
export async function openOwnService(config: ServiceConfig, selfId: string, logger: Logger): Promise<OwnService> {
  const { key, url, isInsecure, keepsHost, responseTimeoutMs, isOpsmx } = config
  const options = {
    key,
    keepsHost,
    responseTimeoutMs,
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
