import type { ServiceConfig } from '../../config/services/service-config.js'
import { openCredentials } from './open-credentials.js'

/** The findings about what services need of files. Each begins with the service that it is about. */
export interface CredentialsCheck {
  readonly problems: readonly string[]
  /** Names what was not looked at, and says why. */
  readonly notes: readonly string[]
}

/** Reads the credentials and issuers of services, as the process that offers them does. No finding has a secret. */
export async function checkCredentials(services: readonly ServiceConfig[]): Promise<CredentialsCheck> {
  const problems: string[] = []
  const notes: string[] = []
  for (const service of services) {
    const { key, credentials } = service
    if (credentials?.place.kind === 'env' && process.env[credentials.place.name] === undefined) {
      notes.push(
        `service ${key}: credentials.env ${credentials.place.name} was not looked at: it is not in the environment of this command`
      )
      continue
    }
    const warn = (details: object) =>
      void problems.push(`service ${key}: ${'problem' in details ? details.problem : 'its credentials cannot be used'}`)
    const opened = await openCredentials(service, { key, logger: { info: () => undefined, warn } })
    opened?.close()
  }
  return { problems, notes }
}
