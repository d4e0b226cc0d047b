import { AWS_ENVIRONMENT, type ServiceConfig } from '../../config/services/service-config.js'
import { openOwnSecrets } from './own-secrets.js'

/** The findings about what services need of files. Each begins with the service that it is about. */
export interface OwnServicesCheck {
  readonly problems: readonly string[]
  /** Names what was not looked at, and says why. */
  readonly notes: readonly string[]
}

/** Reads the credentials and issuers of services, and kubeconfigs, as the process that offers them does. No finding has a secret. */
export async function checkOwnServices(services: readonly ServiceConfig[]): Promise<OwnServicesCheck> {
  const problems: string[] = []
  const notes: string[] = []
  for (const service of services) {
    const { key } = service
    const variable = unsetVariable(service)
    if (variable !== undefined) {
      notes.push(`service ${key}: ${variable} was not looked at: it is not in the environment of this command`)
      continue
    }
    const warn = (details: object) =>
      void problems.push(`service ${key}: ${'problem' in details ? details.problem : 'its credentials cannot be used'}`)
    const opened = await openOwnSecrets(service, { key, logger: { info: () => undefined, warn } })
    opened.close()
  }
  return { problems, notes }
}

/** The setting and the variable of the process that this command does not have. */
function unsetVariable({ credentials, cluster }: ServiceConfig): string | undefined {
  if (cluster?.kind === 'service-account' && process.env.KUBERNETES_SERVICE_HOST === undefined) {
    return 'service_account, which needs KUBERNETES_SERVICE_HOST of a pod,'
  }
  if (credentials?.place.kind !== 'env') return undefined
  const { name } = credentials.place
  const variable = credentials.type === 'aws' ? name + AWS_ENVIRONMENT[0] : name
  return process.env[variable] === undefined ? `credentials.env ${variable}` : undefined
}
