import { X509Certificate } from 'node:crypto'
import type { ListenAddress } from '../../../config/config.js'
import { readConfiguredFile } from '../../../file-exchange/places/named-file.js'
import { hostAndPort } from '../../../network/host-and-port.js'
import { UsageError } from '../../command-error.js'
import { configName, reachableHost, readConfigToAsk, type ServerOptions } from '../../options/connection-options.js'

/** A relay's listener for callers of services. */
export interface Entry {
  /** The URL below which the keys are, without a slash at its end. */
  readonly url: string
  /** The URL to connect to. */
  readonly server: string
  /** The path below which the keys are, with a slash at both ends. */
  readonly root: string
  /** The certificate to trust, where the listener is one of this machine: it need not name the address. */
  readonly pin?: string
}

const SERVICES_ROOT = '/v1/relay/'

/** @throws {UsageError} for anything but an address, and perhaps a path of a proxy in front of it */
export function entryAt(text: string): Entry {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search + url.hash + url.username !== '') {
    throw new UsageError(`--url should be http://host[:port] or https://host[:port], not ${JSON.stringify(text)}`)
  }
  const before = url.pathname.replace(/\/+$/, '').replace(/\/v1\/relay$/, '')
  return entry(url.origin, before)
}

/** The listener of a relay on this machine. @throws {UsageError} where none is configured */
export async function entryOf(options: ServerOptions): Promise<Entry> {
  const config = await readConfigToAsk(options)
  if (config === undefined) {
    throw new UsageError(
      "give --url, a relay's address for callers of services, or --config, whose services.listen it is"
    )
  }
  const { listen, httpsListen } = config.services
  if (listen !== undefined) return entry(`http://${addressOf(listen)}`)
  if (httpsListen === undefined) {
    throw new UsageError(
      `${configName(options)} ${config.directory}: the relay takes no callers of services: set services.listen, or ask another relay with --url`
    )
  }
  const found = entry(`https://${addressOf(httpsListen)}`)
  const { httpsCertificateFile: file } = config.general
  return file === undefined ? found : { ...found, pin: await pinOf(file) }
}

async function pinOf(file: string): Promise<string> {
  const text = await readConfiguredFile('general.https_certificate_file', file)
  try {
    return new X509Certificate(text).fingerprint256
  } catch (cause) {
    throw new UsageError(`general.https_certificate_file ${file} holds no readable certificate`, { cause })
  }
}

function entry(origin: string, before = ''): Entry {
  const root = `${before}${SERVICES_ROOT}`
  return { url: `${origin}${root.slice(0, -1)}`, server: origin, root }
}

function addressOf({ host, port }: ListenAddress): string {
  return hostAndPort(reachableHost(host), port)
}
