import { join } from 'node:path'
import { printable } from '../../../../values/text/printable.js'
import { LeftOutError } from './left-out-error.js'
import type { YamlMap } from './yaml-map.js'

/** The folders of the files that entries name. */
export interface Places {
  /** The folder for the secrets that the file itself has. */
  readonly secrets: string
  /** The folder below which Kubernetes secrets are mounted, each in a folder of its name. */
  readonly mounts: string
}

/** The `[service.credentials]` of a service. */
export interface ImportedCredentials {
  readonly type: 'bearer' | 'token' | 'basic'
  readonly file?: string
  readonly secret?: string
}

/** A secret that belongs into a file. */
export interface SecretFile {
  readonly path: string
  readonly content: string
}

interface Owner {
  readonly key: string
  readonly type: string
  /** The service, for messages. */
  readonly where: string
  readonly places: Places
}

interface FoundCredentials {
  readonly credentials?: ImportedCredentials
  readonly secret?: SecretFile
}

/** The credentials of a service: from a mounted secret, or from values in base64. @throws {LeftOutError} */
export function credentialsOf(map: YamlMap | undefined, owner: Owner): FoundCredentials {
  const type = map?.text('type') ?? 'none'
  if (map === undefined || type === 'none') {
    if (map?.has('secretName') === true)
      map.remark(`secretName of ${owner.where} is left out: its type is none`, 'secretName')
    return {}
  }
  if (owner.type === 'kubernetes') {
    throw new LeftOutError('one of type kubernetes has no credentials: its kubeconfig or service account has them', map)
  }
  if (type !== 'basic' && type !== 'bearer' && type !== 'token') {
    throw new LeftOutError(`its credentials have the unknown type ${printable(type)}`, map, 'type')
  }
  if (owner.type === 'argocd' && type !== 'bearer') {
    throw new LeftOutError(`one of type argocd takes bearer alone, not ${type}`, map, 'type')
  }
  const found = sourceOf(map, type, owner)
  map.remarkUnknown(`credentials of ${owner.where}`)
  return found
}

function sourceOf(map: YamlMap, type: ImportedCredentials['type'], { key, where, places }: Owner): FoundCredentials {
  const mounted = map.text('secretName')
  for (const name of ['token', 'username', 'password']) map.has(name) // not unknown, where another one counts
  if (mounted === undefined) {
    const path = join(places.secrets, key)
    return { credentials: { type, file: path }, secret: { path, content: contentOf(map, type) } }
  }
  if (!/^[a-z0-9][a-z0-9.-]{0,252}$/.test(mounted)) {
    throw new LeftOutError(`${JSON.stringify(mounted)} is no name of a Kubernetes secret`, map, 'secretName')
  }
  const secret = join(places.mounts, mounted)
  map.remark(`${where}: mount the Kubernetes secret ${mounted} at ${secret}`, 'secretName')
  return { credentials: { type, secret } }
}

function contentOf(map: YamlMap, type: ImportedCredentials['type']): string {
  if (type !== 'basic') return decoded(map, 'token')
  const username = decoded(map, 'username')
  if (username.includes(':')) throw new LeftOutError('its user name has a colon', map, 'username')
  return `${username}:${decoded(map, 'password')}`
}

/** A value in base64. Messages do not show it. */
function decoded(map: YamlMap, name: string): string {
  const text = map.text(name)?.replace(/[\r\n]/g, '')
  if (text === undefined) throw new LeftOutError(`its credentials have no ${name}`, map)
  const bytes = Buffer.from(text, 'base64')
  const value = bytes.toString('utf8')
  if (bytes.toString('base64') !== text || !Buffer.from(value).equals(bytes)) {
    throw new LeftOutError(`${name} of its credentials is no text in base64`, map, name)
  }
  return value
}
