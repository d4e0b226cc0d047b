import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import type { Config, ServiceListenerConfig } from '../../../config/config.js'
import { readConfiguredFile } from '../../../file-exchange/places/named-file.js'
import { certificateBlocks } from '../../../keys/certificates/pem.js'
import { hostAndPort } from '../../../network/host-and-port.js'
import { errorMessage } from '../../../values/failures/system-error.js'
import { UsageError } from '../../command-error.js'
import { configName, reachableHost, readConfigToAsk } from '../../options/connection-options.js'
import type { KubeServer } from './kubeconfig-text.js'

/** The server of a kubeconfig, and what its user should know about it. */
export interface FoundApiServer extends KubeServer {
  readonly note?: string
}

/** Reads a URL that an option gives. @param path is added to it @throws {UsageError} */
export function apiServerAt(option: string, text: string, path = ''): FoundApiServer {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isUsable = url !== undefined && /^https?:$/.test(url.protocol) && url.search + url.hash === ''
  if (!isUsable || url.username + url.password !== '') {
    const shown = text.includes('@') ? '' : ` ${JSON.stringify(text.slice(0, 80))}`
    throw new UsageError(`${option}${shown}: expected http://host[:port] or https://host[:port], without credentials`)
  }
  const before = url.pathname.replace(/\/+$/, '').replace(path === '' ? /$/ : /\/v1\/relay(?:\/[^/]*)?$/, '')
  return { url: `${url.origin}${before}${path}`, ca: undefined, name: undefined }
}

/** Finds the listener of a relay on this machine that leads to a service. @throws {UsageError} where none does */
export async function apiServerOf(key: string, options: { readonly config?: string }): Promise<FoundApiServer> {
  const config = await readConfigToAsk(options)
  if (config === undefined) {
    throw new UsageError(
      "give --listener-url or --url, a relay's address for callers of services, or --config, which names its listeners"
    )
  }
  const secureFirst = [...config.serviceListeners].sort((one, other) => Number(other.tls) - Number(one.tls))
  for (const listener of secureFirst) {
    const host = hostOf(listener, key)
    if (host === undefined) continue
    const url = `${listener.tls ? 'https' : 'http'}://${hostAndPort(host, listener.listen.port)}`
    if (!listener.tls) return { url, ca: undefined, name: undefined }
    return { url, ...(await trustOf(config, host, listener.certificateFile)) }
  }
  const { listen, httpsListen } = config.services
  const path = `/v1/relay/${key}`
  if (httpsListen !== undefined) {
    const host = reachableHost(httpsListen.host)
    return { url: `https://${hostAndPort(host, httpsListen.port)}${path}`, ...(await trustOf(config, host)) }
  }
  if (listen !== undefined) {
    return {
      url: `http://${hostAndPort(reachableHost(listen.host), listen.port)}${path}`,
      ca: undefined,
      name: undefined
    }
  }
  throw new UsageError(
    `${configName(options)} ${config.directory}: no listener leads to ${key}: add a [[service_listener]], or set services.https_listen`
  )
}

/** The host at which a listener leads to the service; undefined where it does not, or leaves the choice to tokens. */
function hostOf({ fixed, suffix, serverNames, listen }: ServiceListenerConfig, key: string): string | undefined {
  if (fixed !== undefined) return fixed === key ? reachableHost(listen.host) : undefined
  const [listed] = [...serverNames].find(([, served]) => served === key) ?? []
  return listed ?? (suffix !== undefined && key === key.toLowerCase() ? `${key}.${suffix}` : undefined)
}

/** The trust that the certificate of a listener needs. @param file by default `general.https_certificate_file` */
async function trustOf({ general }: Config, host: string, file?: string) {
  const setting = file === undefined ? 'general.https_certificate_file' : 'service_listener.certificate_file'
  const path = file ?? general.httpsCertificateFile
  if (path === undefined) throw new UsageError(`${setting} is not set: give --ca, --url or --listener-url`)
  const [leaf, ...others] = readCertificates(setting, path, await readConfiguredFile(setting, path))
  if (leaf === undefined) throw new UsageError(`${setting} ${path} holds no certificate`)
  const authorities =
    general.caPath === undefined
      ? []
      : readCertificates('general.ca_path', general.caPath, await readConfiguredFile('general.ca_path', general.caPath))
  const root = rootOf([leaf, ...others], authorities)
  const note = `${setting} ${path} is of an authority that no file here has: kubectl trusts what the system trusts, unless --ca is given`
  return { ca: root?.toString(), name: nameIn(leaf, host), ...(root === undefined ? { note } : {}) }
}

function readCertificates(setting: string, path: string, text: string): X509Certificate[] {
  try {
    return certificateBlocks(text).map(block => new X509Certificate(block))
  } catch (error) {
    throw new UsageError(`${setting} ${path} holds no readable certificate: ${errorMessage(error)}`, { cause: error })
  }
}

/** The certificate at the end of a chain: one that issued itself, of the chain or of the authorities. */
function rootOf(
  chain: readonly X509Certificate[],
  authorities: readonly X509Certificate[]
): X509Certificate | undefined {
  const last = chain.at(-1)
  if (last === undefined) return undefined
  if (isIssuedBy(last, last)) return last
  return authorities.find(authority => isIssuedBy(last, authority))
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
}

/** A name of a certificate, where it does not have that of the URL; undefined where it has. */
function nameIn(certificate: X509Certificate, host: string): string | undefined {
  const bare = host.replace(/^\[|\]$/g, '')
  const isNamed = isIP(bare) === 0 ? certificate.checkHost(bare) : certificate.checkIP(bare)
  if (isNamed !== undefined) return undefined
  return /DNS:([^,\s*]+)/.exec(certificate.subjectAltName ?? '')?.[1]
}
