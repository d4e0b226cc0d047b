import type { ServiceConfig } from '../../config/services/service-config.js'
import { openAwsKeys } from '../aws/open-aws-keys.js'
import type { EdgeCredentials } from '../credentials/edge-credentials.js'
import { openCredentials } from '../credentials/open-credentials.js'
import type { SecretOwner, WatchedSecret } from '../credentials/watched-secret.js'
import type { AwsSigning } from '../edge/aws-requests.js'
import type { ClusterAccess } from '../kubernetes/cluster-access.js'
import { openClusterAccess } from '../kubernetes/open-cluster-access.js'

/** All that a `[[service]]` needs of files and the environment. Each is undefined where the service does without. */
export interface OwnSecrets {
  readonly credentials: EdgeCredentials | undefined
  readonly aws: AwsSigning | undefined
  readonly cluster: WatchedSecret<ClusterAccess> | undefined
  close(): void
}

/** Does not reject: what cannot be used yet is told in the log, and read again later. The caller closes it. */
export async function openOwnSecrets(config: ServiceConfig, owner: SecretOwner): Promise<OwnSecrets> {
  const [credentials, aws, cluster] = await Promise.all([
    openCredentials(config, owner),
    openSigning(config, owner),
    config.cluster === undefined ? undefined : openClusterAccess(config.cluster, owner)
  ])
  return {
    credentials,
    aws,
    cluster,
    close: () => {
      credentials?.close()
      aws?.keys.close()
      cluster?.close()
    }
  }
}

async function openSigning({ aws, credentials }: ServiceConfig, owner: SecretOwner): Promise<AwsSigning | undefined> {
  if (aws === undefined || credentials?.type !== 'aws') return undefined
  return { scope: aws, keys: await openAwsKeys(credentials, owner) }
}
