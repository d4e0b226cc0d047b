import { RESET } from '../../links/streams/stream-protocol.js'
import type { Logger } from '../../values/logging/logger.js'
import { CredentialsError, type EdgeCredentials } from '../credentials/edge-credentials.js'
import type { WatchedSecret } from '../credentials/watched-secret.js'
import { createHttpService, type HttpService, type HttpServiceOptions } from '../edge/http-service.js'
import type { ClusterAccess } from '../kubernetes/cluster-access.js'
import type { OwnService } from './own-service.js'

/** All but what the access to the cluster tells. */
export type ClusterServiceOptions = Omit<HttpServiceOptions, 'baseUrl' | 'credentials'> & {
  readonly key: string
  readonly logger: Logger
}

/** The API of a cluster of Kubernetes. @param access closed with the service */
export function clusterService(access: WatchedSecret<ClusterAccess>, options: ClusterServiceOptions): OwnService {
  let present: { readonly server: string; readonly service: HttpService } | undefined
  const former: HttpService[] = []

  /** The service at the server that the access names now: a kubeconfig may come to name another one. */
  function serviceAt(server: string): HttpService {
    if (present?.server === server) return present.service
    present?.service.renewConnections()
    if (present !== undefined) former.push(present.service)
    const service = createHttpService({
      ...options,
      baseUrl: new URL(server),
      credentials: credentialsFor(server, access)
    })
    present = { server, service }
    return service
  }

  return {
    take: (stream, opening) => {
      let server: string
      try {
        server = access.value.server
      } catch (error) {
        if (!(error instanceof CredentialsError)) throw error
        stream.reset(RESET.refused, `no answer from the service: ${error.message}`)
        return
      }
      serviceAt(server).take(stream, opening)
    },
    retire: () => {
      present?.service.renewConnections()
      access.close()
    },
    close: () => {
      for (const service of [...former, ...(present === undefined ? [] : [present.service])]) service.close()
      access.close()
    }
  }
}

/** The credentials for one server: never those that belong to another one, once the access has changed. */
function credentialsFor(server: string, access: WatchedSecret<ClusterAccess>): EdgeCredentials {
  const current = () => {
    const { value } = access
    if (value.server === server) return value
    throw new CredentialsError('its server has changed; ask again')
  }
  return {
    changeFor: () => current().change,
    tls: () => current().tls,
    refused: async change => {
      await access.look()
      return access.value.change !== change
    },
    close: () => undefined // the access is closed by its owner
  }
}
