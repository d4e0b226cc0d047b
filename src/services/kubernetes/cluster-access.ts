import { join } from 'node:path'
import type { ConnectionOptions } from 'node:tls'
import { readCertificatePair, readEveryCertificate } from '../../keys/certificates/certificate-pair.js'
import { type HeadChange, NO_CHANGE } from '../credentials/edge-credentials.js'
import type { KubeContext, KubeText } from './kubeconfig.js'

/** The way to the API of a cluster, with the secrets for it. */
export interface ClusterAccess {
  /** The base URL. */
  readonly server: string
  readonly tls: ConnectionOptions
  readonly change: HeadChange
}

/** Reads a file. @param setting names it for people @throws {Error} that names the file */
export type ReadClusterFile = (setting: string, path: string) => Promise<string>

/** The files of a pod's service account, in the folder where the kubelet mounts them. */
const TOKEN = 'token'
const ISSUERS = 'ca.crt'
const ONE_LINE = /^[\x21-\x7e]+$/

/** The files that a context names. */
export function filesOfContext({ ca, certificate, key, token }: KubeContext): string[] {
  return [ca, certificate, key, token].flatMap(source =>
    source !== undefined && 'path' in source ? [source.path] : []
  )
}

/** @throws {Error} that tells what cannot be used, without what it holds */
export async function accessOfContext(context: KubeContext, readFile: ReadClusterFile): Promise<ClusterAccess> {
  const read = (name: string, source: KubeText | undefined) => {
    if (source === undefined) return Promise.resolve(undefined)
    return 'text' in source ? Promise.resolve(source.text) : readFile(`${name} of the kubeconfig`, source.path)
  }
  const [ca, cert, key, token] = await Promise.all([
    read('certificate-authority', context.ca),
    read('client-certificate', context.certificate),
    read('client-key', context.key),
    read('tokenFile', context.token)
  ])
  if (ca !== undefined) readEveryCertificate(ca, 'certificate-authority of the kubeconfig')
  if (cert !== undefined && key !== undefined) {
    const names = { cert: 'client-certificate of the kubeconfig', key: 'client-key of the kubeconfig' }
    readCertificatePair({ cert, key }, names)
  }
  const { basic, isInsecure, serverName } = context
  return {
    server: context.server.href,
    tls: {
      ...trustIn(ca),
      ...(isInsecure ? { rejectUnauthorized: false } : {}),
      ...(serverName === undefined ? {} : { servername: serverName }),
      ...(cert === undefined || key === undefined ? {} : { cert, key })
    },
    change:
      basic !== undefined
        ? authorization(`Basic ${Buffer.from(`${basic.user}:${basic.password}`).toString('base64')}`)
        : token !== undefined
          ? bearer(token, 'the token of the kubeconfig')
          : cert === undefined
            ? NO_CHANGE
            : WITHOUT_AUTHORIZATION
  }
}

/** The files of a service account. @param folder where they are mounted */
export function filesOfServiceAccount(folder: string): string[] {
  return [join(folder, TOKEN), join(folder, ISSUERS)]
}

/**
 * The access of the pod in which this process runs.
 * @param environment of the process, in which the kubelet names the server
 * @throws {Error} that tells what is missing
 */
export async function accessOfServiceAccount(
  folder: string,
  environment: NodeJS.ProcessEnv,
  readFile: ReadClusterFile
): Promise<ClusterAccess> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = environment
  if (!host || !port) {
    throw new Error(
      'KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not in the environment: this is no pod of Kubernetes; set kubeconfig'
    )
  }
  const server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`
  if (!URL.canParse(server)) throw new Error('KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are no host and port')
  const [token = '', ca = ''] = await Promise.all(
    filesOfServiceAccount(folder).map(path => readFile('the service account', path))
  )
  readEveryCertificate(ca, `${ISSUERS} of the service account`)
  return { server: new URL(server).href, tls: trustIn(ca), change: bearer(token, 'the token of the service account') }
}

/** Trusts each of the certificates, as Go does, also one that another one issued. */
function trustIn(ca: string | undefined): ConnectionOptions {
  return ca === undefined ? {} : { ca, allowPartialTrustChain: true }
}

function bearer(text: string, name: string): HeadChange {
  const token = text.trim()
  if (!ONE_LINE.test(token)) throw new Error(`${name} is empty, or more than one word`)
  return authorization(`Bearer ${token}`)
}

/** The caller's `Authorization` does not go on beside a client certificate either: it would win over it. */
const WITHOUT_AUTHORIZATION: HeadChange = { ...NO_CHANGE, removed: new Set(['authorization']) }

function authorization(value: string): HeadChange {
  return { ...WITHOUT_AUTHORIZATION, added: ['Authorization', value] }
}
