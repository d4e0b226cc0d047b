import { resolve } from 'node:path'
import { parse, YAMLError } from 'yaml'
import { showOnOneLine } from '../../values/text/shown-text.js'

/** A text that stands in the kubeconfig, or in a file that it names. */
export type KubeText = { readonly text: string } | { readonly path: string }

/** The way to a cluster, and the user there, as a kubeconfig has them. */
export interface KubeContext {
  /** `http:` or `https:`, perhaps with a path. */
  readonly server: URL
  /** The issuers of the certificate of the server, PEM; undefined: those that Node trusts. */
  readonly ca: KubeText | undefined
  /** Whether the certificate of the server is taken as it is. */
  readonly isInsecure: boolean
  /** The name that the certificate of the server has, where it is not that of the URL. */
  readonly serverName: string | undefined
  /** PEM, both. */
  readonly certificate: KubeText | undefined
  readonly key: KubeText | undefined
  readonly token: KubeText | undefined
  readonly basic: { readonly user: string; readonly password: string } | undefined
}

/** A kubeconfig cannot be used. The message says why, and has no secret. */
export class KubeconfigError extends Error {
  override name = 'KubeconfigError'
}

type Table = Readonly<Record<string, unknown>>

/**
 * Reads one context of a kubeconfig as kubectl does (k8s.io/client-go, tools/clientcmd).
 * @param context undefined: its `current-context`
 * @param directory of the file, from which relative paths count
 * @throws {KubeconfigError} also for what would need a program (`exec`, `auth-provider`), a proxy or impersonation
 */
export function readKubeconfig(text: string, context: string | undefined, directory: string): KubeContext {
  const file = parseFile(text)
  const name = context ?? textOf(file, 'current-context', 'the kubeconfig')
  if (name === undefined) throw new KubeconfigError('it has no current-context: set context')
  const { cluster: clusterName, user: userName } = namesIn(named(file, 'context', name), name)
  const cluster = named(file, 'cluster', clusterName)
  return {
    ...readCluster(cluster, `the cluster ${showOnOneLine(clusterName)}`, directory),
    ...(userName === undefined
      ? { certificate: undefined, key: undefined, token: undefined, basic: undefined }
      : readUser(named(file, 'user', userName), `the user ${showOnOneLine(userName)}`, directory))
  }
}

function parseFile(text: string): Table {
  let value: unknown
  try {
    value = parse(text, { prettyErrors: false }) // pretty errors quote lines, which may have secrets in them
  } catch (error) {
    if (!(error instanceof YAMLError || error instanceof ReferenceError)) throw error
    throw new KubeconfigError('it is no YAML')
  }
  if (!isTable(value)) throw new KubeconfigError('it is no map of clusters, contexts and users')
  return value
}

function namesIn(context: Table, name: string): { readonly cluster: string; readonly user: string | undefined } {
  const where = `the context ${showOnOneLine(name)}`
  const cluster = textOf(context, 'cluster', where)
  if (cluster === undefined) throw new KubeconfigError(`${where} names no cluster`)
  return { cluster, user: textOf(context, 'user', where) }
}

/** The entry of a list of named ones: `contexts: [{ name, context: {…} }]`. */
function named(file: Table, kind: 'context' | 'cluster' | 'user', name: string): Table {
  const list = file[`${kind}s`] ?? []
  const what = `the ${kind} ${showOnOneLine(name)}`
  if (!Array.isArray(list)) throw new KubeconfigError(`${kind}s is no list`)
  const found = list.filter(entry => isTable(entry) && entry.name === name)
  if (found.length > 1) throw new KubeconfigError(`${what} is there twice`)
  const entry: unknown = found[0]
  if (!isTable(entry)) throw new KubeconfigError(`${what} is not there`)
  const value = entry[kind] ?? {}
  if (!isTable(value)) throw new KubeconfigError(`${what} is no map`)
  return value
}

function readCluster(cluster: Table, where: string, directory: string) {
  const ca = sourceOf(cluster, 'certificate-authority', where, directory)
  const insecure = cluster['insecure-skip-tls-verify'] ?? false
  if (typeof insecure !== 'boolean') {
    throw new KubeconfigError(`insecure-skip-tls-verify of ${where} is neither true nor false`)
  }
  if (insecure && ca !== undefined) {
    throw new KubeconfigError(`${where} has both a certificate-authority and insecure-skip-tls-verify: keep one`)
  }
  if (textOf(cluster, 'proxy-url', where) !== undefined) {
    throw new KubeconfigError(`${where} has a proxy-url, and clusters are not reached through proxies here`)
  }
  return {
    server: serverOf(cluster, where),
    ca,
    isInsecure: insecure,
    serverName: textOf(cluster, 'tls-server-name', where)
  }
}

function serverOf(cluster: Table, where: string): URL {
  const text = textOf(cluster, 'server', where) ?? ''
  if (!/^https?:\/\/[^?#\\\s@]+$/i.test(text) || !URL.canParse(text)) {
    throw new KubeconfigError(`server of ${where} is no URL such as https://10.0.0.1:6443, without a user, ? and #`)
  }
  return new URL(text)
}

function readUser(user: Table, where: string, directory: string) {
  for (const kind of ['exec', 'auth-provider']) {
    if (user[kind] === undefined || user[kind] === null) continue
    const remedy = 'give it a token, a tokenFile or a client certificate'
    throw new KubeconfigError(
      `${where} has credentials of the kind ${kind}, and no program is started for them: ${remedy}`
    )
  }
  for (const key of ['as', 'as-uid', 'as-groups', 'as-user-extra']) {
    if (isGiven(user[key])) throw new KubeconfigError(`${where} acts as another user (${key}), which is not done here`)
  }
  const certificate = sourceOf(user, 'client-certificate', where, directory)
  const key = sourceOf(user, 'client-key', where, directory)
  if ((certificate === undefined) !== (key === undefined)) {
    const [has, lacks] = key === undefined ? ['client-certificate', 'client-key'] : ['client-key', 'client-certificate']
    throw new KubeconfigError(`${where} has a ${has} and no ${lacks}`)
  }
  const token = tokenOf(user, where, directory)
  const name = textOf(user, 'username', where)
  const password = textOf(user, 'password', where)
  if (token !== undefined && (name !== undefined || password !== undefined)) {
    throw new KubeconfigError(`${where} has both a token and a username or password: keep one`)
  }
  if (password !== undefined && name === undefined) throw new KubeconfigError(`${where} has a password and no username`)
  if (name?.includes(':') === true) throw new KubeconfigError(`username of ${where} has a colon`)
  return { certificate, key, token, basic: name === undefined ? undefined : { user: name, password: password ?? '' } }
}

/** Takes `tokenFile`, where there is one, before `token`: a file has the newer one. */
function tokenOf(user: Table, where: string, directory: string): KubeText | undefined {
  const file = textOf(user, 'tokenFile', where)
  const token = textOf(user, 'token', where)
  if (file !== undefined) return { path: resolve(directory, file) }
  return token === undefined ? undefined : { text: token }
}

/** `<key>-data` in base64, or else the file that `<key>` names. */
function sourceOf(table: Table, key: string, where: string, directory: string): KubeText | undefined {
  const data = textOf(table, `${key}-data`, where)
  const file = textOf(table, key, where)
  if (data === undefined) return file === undefined ? undefined : { path: resolve(directory, file) }
  const packed = data.replace(/\s/g, '')
  const bytes = Buffer.from(packed, 'base64')
  if (bytes.toString('base64').replace(/=+$/, '') !== packed.replace(/=+$/, '')) {
    throw new KubeconfigError(`${key}-data of ${where} is no base64`)
  }
  return { text: bytes.toString('utf8') }
}

/** @returns undefined where it is missing or empty */
function textOf(table: Table, key: string, where: string): string | undefined {
  const value = table[key]
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value !== 'string') throw new KubeconfigError(`${key} of ${where} is no text`)
  return value
}

function isGiven(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return false
  return !(Array.isArray(value) ? value.length === 0 : isTable(value) && Object.keys(value).length === 0)
}

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
