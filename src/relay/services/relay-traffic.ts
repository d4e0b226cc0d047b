import type { ServiceMetrics } from '../../api/metrics/service-metrics.js'
import { requestIds } from '../../api/requests/request-ids.js'
import type { Config } from '../../config/config.js'
import type { ServedRequest } from '../../services/entry/traffic/served-request.js'
import { ServiceTraffic } from '../../services/entry/traffic/service-traffic.js'
import type { Logger } from '../../values/logging/logger.js'

export interface RelayTrafficOptions {
  /** The one in force. */
  readonly config: () => Config
  readonly metrics: ServiceMetrics
  readonly logger: Pick<Logger, 'info'>
}

/** Characters of a path in the log; the rest is left out. */
const MAX_LOGGED_PATH_CHARS = 1024

/** Creates the count of requests to services, with the rates of the configuration, for metrics and the log. */
export function createRelayTraffic({ config, metrics, logger }: RelayTrafficOptions): ServiceTraffic {
  return new ServiceTraffic({
    rateOf: key => {
      const { rate, rates } = config().services
      return rates.get(key) ?? rate
    },
    requestId: requestIds(),
    onServed: request => {
      metrics.served(request)
      if (config().services.log) logger.info(lineOf(request), 'request to a service')
    }
  })
}

/** The facts of a request for the log: no query and no header, which may be secret. */
function lineOf({ id, method, path, address, key, hop, ...counts }: ServedRequest): object {
  return {
    reqId: id,
    method,
    path: path.slice(0, MAX_LOGGED_PATH_CHARS).replace(/[^\x20-\x7e]/g, '?'),
    key,
    hop,
    status: counts.status,
    received: counts.received,
    sent: counts.sent,
    ms: Math.round(counts.durationMs),
    address,
    ...(counts.isWhole || hop === undefined ? {} : { brokenOff: true })
  }
}
