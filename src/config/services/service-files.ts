import { join } from 'node:path'
import { SECRET_KEYS, type SecretPlace, type ServiceConfig } from './service-config.js'

/** A file that a `[[service]]` names. */
export interface ServiceFile {
  /** The setting that names it. */
  readonly key: string
  readonly path: string
  /** Whether it is no secret: what is written there counts. */
  readonly isReadable: boolean
}

/** The files that services name: those of their credentials, and issuers. */
export function filesOfServices(services: readonly ServiceConfig[]): ServiceFile[] {
  return services.flatMap(({ key, caFile, cluster, credentials }) => {
    const of = (setting: string) => `service ${key}: ${setting}`
    const files: ServiceFile[] = caFile === undefined ? [] : [{ key: of('ca_file'), path: caFile, isReadable: true }]
    if (cluster?.kind === 'kubeconfig') files.push({ key: of('kubeconfig'), path: cluster.file, isReadable: false })
    if (credentials === undefined) return files
    const keyPlace = credentials.type === 'client_certificate' ? credentials.keyPlace : undefined
    return [
      ...files,
      ...filesIn(credentials.place, SECRET_KEYS[credentials.type]).map(path => {
        const setting = credentials.place.kind === 'secret' ? 'secret' : 'file'
        // beside a key in a file of its own, that of the certificate is no secret
        return {
          key: of(`credentials.${setting}`),
          path,
          isReadable: keyPlace !== undefined || path.endsWith('tls.crt')
        }
      }),
      ...(keyPlace?.kind === 'file'
        ? [{ key: of('credentials.key_file'), path: keyPlace.path, isReadable: false }]
        : [])
    ]
  })
}

function filesIn(place: SecretPlace, keys: readonly string[]): string[] {
  if (place.kind === 'env') return []
  return place.kind === 'file' ? [place.path] : keys.map(key => join(place.folder, key))
}
