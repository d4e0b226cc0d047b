import { isAbsolute } from 'node:path'
import { type Command, Option } from 'commander'
import type { AgentConfig } from '../../config/agent/agent-config.js'
import type { Config } from '../../config/config.js'
import { readConfiguredFile, readNamedFile } from '../../file-exchange/places/named-file.js'
import { hostAndPort } from '../../network/host-and-port.js'
import type { createRelayClient, RelayClient } from '../../relay-client/relay-client.js'
import { socketPathOf, UNIX_SOCKET } from '../../relay-client/unix-socket.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { checkCertificatePair } from '../checks/certificate-pair-check.js'
import { UsageError } from '../command-error.js'
import { policyServerOf, readAgentFolder } from './agent-folder.js'
import { certificatesIn } from './certificate-file.js'
import { readSecretFile } from './secret-file.js'

const DEFAULT_SERVER = 'http://127.0.0.1:3030'

const PROXY_VARIABLES = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy']

/** A group of the help, below the command's own options. */
export const SERVER_OPTIONS_HEADING = 'Connection options:'

/** The options that {@link addServerOptions} adds. */
export interface ServerOptions {
  readonly config?: string
  readonly server?: string
  readonly tokenFile?: string
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly tlsKey?: string
  readonly pin?: string
}

/** The option of a command that shows something. */
export const JSON_OPTION = ['--json', 'print JSON'] as const

/** The options of a command that shows something of a relay. */
export interface ShowOptions extends ServerOptions {
  readonly json?: boolean
}

/**
 * Adds what says which relay is asked, and how it is reached.
 * @param keyOption `--tls-key` where `--key` names the key that signs files
 */
export function addServerOptions(command: Command, keyOption: '--key' | '--tls-key' = '--key'): Command {
  for (const [flags, text] of [
    [
      '-c, --config <dir>',
      'configuration directory of a relay or agent: gives address, keys, node id (default: TREELINE_CONFIG)'
    ],
    [
      '--server <url>',
      `URL of the relay, also unix:<path> (default: from --config, else TREELINE_SERVER or ${DEFAULT_SERVER})`
    ],
    ['--token-file <file>', 'file with the admin token of that relay'],
    ['--ca <file>', "trusted certificates (PEM) for https, instead of the system's"],
    ['--cert <file>', 'certificate (PEM) to show to the relay'],
    [`${keyOption} <file>`, 'private key (PEM) of that certificate'],
    ['--pin <hash>', "SHA-256 of the relay's certificate, to trust no other: hex, or sha256//<base64>"]
  ] as const) {
    command.addOption(new Option(flags, text).helpGroup(SERVER_OPTIONS_HEADING))
  }
  return command
}

/**
 * The relay that the options lead to. Nothing is connected yet. To be closed by the caller.
 * @throws {UsageError} for options, a configuration or files that cannot be used
 */
export async function openClient(options: ServerOptions): Promise<RelayClient> {
  const { createRelayClient } = await import('../../relay-client/relay-client.js')
  const [ca, cert, key, token] = await Promise.all([
    readCertificates(options.ca, '--ca'),
    readCertificates(options.cert, '--cert'),
    readSecret(options.tlsKey ?? options.key, options.tlsKey === undefined ? '--key' : '--tls-key'),
    readSecret(options.tokenFile, '--token-file')
  ])
  checkOwnPair(options, cert, key)
  const server = serverIn(options)
  const agent = server === undefined ? await readAgentFolder(configIn(options), configName(options)) : undefined
  const above = agent === undefined ? undefined : await policyServerOf(agent)
  const own = agent === undefined || cert !== undefined ? { cert, key } : await ownCertificate(agent)
  const trust = ca === undefined && options.pin === undefined ? above : undefined
  const named = above?.server ?? server
  const asked = named ?? (await configuredServer(options))
  await checkSocket(asked, named !== undefined, token !== undefined, options)
  return createRelayClient({
    server: asked,
    names: {
      server: options.server === undefined && server !== undefined ? 'TREELINE_SERVER' : '--server',
      ca: '--ca',
      pin: '--pin'
    },
    token: token?.trim(),
    tls: {
      ca: trust?.ca ?? ca,
      ...own,
      pin: trust?.pins ?? options.pin,
      ...(trust?.revocations === undefined ? {} : { revocations: trust.revocations })
    },
    ...(named === undefined ? {} : await proxyTo(named))
  })
}

/** Looks at who could have put a socket there. One that was named is taken as it is, unless it would get a token. */
async function checkSocket(server: string, isNamed: boolean, hasToken: boolean, options: ServerOptions): Promise<void> {
  const path = socketPathOf(server)
  if (path === undefined || !isAbsolute(path) || (isNamed && !hasToken)) return
  const { refuseForeignSocket } = await import('../checks/permissions/trusted-socket.js')
  const config = isNamed ? undefined : await readConfigToAsk(options)
  await refuseForeignSocket(isNamed ? 'the socket' : 'general.socket', path, config)
}

/** The way to a relay that was named; the one of a configuration is on this machine. Loaded where there is a proxy. */
async function proxyTo(server: string): Promise<Pick<Parameters<typeof createRelayClient>[0], 'through'>> {
  const isSet = PROXY_VARIABLES.some(name => (process.env[name] ?? '') !== '')
  if (!isSet || socketPathOf(server) !== undefined) return {}
  const { environmentProxy } = await import('./environment-proxy.js')
  const through = environmentProxy(server)
  return through === undefined ? {} : { through }
}

function checkOwnPair(options: ServerOptions, cert: string | undefined, key: string | undefined): void {
  if (cert !== undefined && key !== undefined) {
    const keyName = options.tlsKey === undefined ? `--key ${options.key}` : `--tls-key ${options.tlsKey}`
    checkCertificatePair({ name: `--cert ${options.cert}`, text: cert }, { name: keyName, text: key })
  } else if (cert !== key) throw new UsageError('--cert and its key are given both or not at all')
}

async function ownCertificate({ certificateFile, keyFile }: AgentConfig) {
  const cert = await readConfiguredFile('certificate_file', certificateFile)
  const key = await readConfiguredFile('key_file', keyFile)
  checkCertificatePair(
    { name: `certificate_file ${certificateFile}`, text: cert },
    { name: `key_file ${keyFile}`, text: key }
  )
  return { cert, key }
}

/** Runs `action` with the relay that the options lead to, and closes the connections afterwards. */
export async function withClient<T>(options: ServerOptions, action: (client: RelayClient) => Promise<T>): Promise<T> {
  const client = await openClient(options)
  try {
    return await action(client)
  } finally {
    await client.close()
  }
}

/** The configuration in `--config`, or undefined without that option. @throws {UsageError} naming all that is wrong */
export function readConfig(options: Pick<ServerOptions, 'config'>): Promise<Config | undefined> {
  return readBy(options, async () => (await import('../../config/config-loader.js')).loadConfig)
}

/** The same where no file that it names is used. */
export function readConfigToAsk(options: Pick<ServerOptions, 'config'>): Promise<Config | undefined> {
  return readBy(options, async () => (await import('../../config/config-loader.js')).loadConfigToAsk)
}

async function readBy(
  options: Pick<ServerOptions, 'config'>,
  loader: () => Promise<(directory: string) => Config>
): Promise<Config | undefined> {
  const directory = configIn(options)
  if (directory === undefined) return undefined
  const load = await loader()
  try {
    return load(directory)
  } catch (error) {
    throw new UsageError(`${configName(options)} ${directory}: ${errorMessage(error)}`, { cause: error })
  }
}

/** The configuration directory that was named, by option or environment. */
export function configIn({ config }: Pick<ServerOptions, 'config'>): string | undefined {
  return config ?? (process.env.TREELINE_CONFIG || undefined)
}

/** The name under which the configuration was given, for messages. */
export function configName({ config }: Pick<ServerOptions, 'config'>): string {
  return config === undefined ? 'TREELINE_CONFIG' : '--config'
}

/** The relay that was named; what is on the command line comes before the environment. */
function serverIn({ server, config }: Pick<ServerOptions, 'server' | 'config'>): string | undefined {
  return server ?? (config === undefined ? process.env.TREELINE_SERVER || undefined : undefined)
}

async function configuredServer(options: ServerOptions): Promise<string> {
  const config = await readConfigToAsk(options)
  if (config === undefined) return DEFAULT_SERVER
  if (config.general.socket !== undefined) return `${UNIX_SOCKET}${config.general.socket}`
  const { host, port } = config.general.listen
  return `http://${hostAndPort(reachableHost(host), port)}`
}

/** An address at which a listener of this machine is reached. */
export function reachableHost(host: string): string {
  return host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
}

async function readSecret(path: string | undefined, option: string): Promise<string | undefined> {
  return path === undefined ? undefined : readSecretFile(option, path)
}

async function readOptional(path: string | undefined, option: string): Promise<string | undefined> {
  return path === undefined ? undefined : readNamedFile(option, path)
}

async function readCertificates(path: string | undefined, option: string): Promise<string | undefined> {
  const text = await readOptional(path, option)
  return text === undefined ? undefined : certificatesIn(option, path ?? '', text)
}
