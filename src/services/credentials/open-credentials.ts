import type { ServiceConfig } from '../../config/services/service-config.js'
import { EdgeCertificate } from './client-certificate.js'
import type { EdgeCredentials } from './edge-credentials.js'
import { HeaderCredentials } from './header-credentials.js'
import { TrustedService } from './service-trust.js'
import type { SecretOwner } from './watched-secret.js'

/**
 * Opens what a `[[service]]` needs of files: its credentials, and the issuers that it trusts.
 * @returns undefined where it needs nothing. Does not reject: what cannot be used yet is told in the log, and the service
 * refuses requests until then. The caller closes it
 */
export async function openCredentials(
  { credentials, caFile }: ServiceConfig,
  owner: SecretOwner
): Promise<EdgeCredentials | undefined> {
  const opened = await openOwn(credentials, owner)
  return caFile === undefined ? opened : TrustedService.open(caFile, opened, owner)
}

function openOwn(config: ServiceConfig['credentials'], owner: SecretOwner): Promise<EdgeCredentials | undefined> {
  if (config === undefined || config.type === 'aws') return Promise.resolve(undefined) // AWS is signed for, not logged in to
  return config.type === 'client_certificate'
    ? EdgeCertificate.open(config, owner)
    : HeaderCredentials.open(config, owner)
}
