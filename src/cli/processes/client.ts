import { randomUUID } from 'node:crypto'
import { rootCertificates } from 'node:tls'
import { type Command, Option } from 'commander'
import type { ListenAddress } from '../../config/config.js'
import { listenAddress } from '../../config/readers/address-readers.js'
import {
  isServiceProtocol,
  protocolProblem,
  SERVICE_PROTOCOLS,
  type ServiceProtocol
} from '../../config/services/service-protocol.js'
import { readConfiguredFile, readNamedFile } from '../../file-exchange/places/named-file.js'
import { CLIENT_KEY_RULE, isClientId, isClientKey } from '../../keys/tokens/client-key.js'
import { hideArgument } from '../../process/hide-argument.js'
import { leaveStopSignals, stopAsked } from '../../process/signals/stop-signal.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { UsageError } from '../command-error.js'
import { certificatesIn } from '../options/certificate-file.js'
import { example } from '../options/example.js'
import { readSecretFile } from '../options/secret-file.js'
import { serveUntilStopped } from './serve-until-stopped.js'
import { findServiceManager } from './service-manager.js'

interface ClientCommandOptions {
  readonly baseUrl?: string
  readonly serverUrl?: string
  readonly clientKey?: string
  readonly clientId?: string
  readonly token?: string
  readonly tokenFile?: string
  readonly styraToken?: string
  readonly ca?: string
  readonly healthListen?: string
  readonly protocol?: string
}

type Environment = Readonly<Record<string, string | undefined>>

/** Values without a default, each given as an option or in the environment. */
const NEEDED = [
  ['baseUrl', '--base-url', 'TREELINE_BASE_URL'],
  ['serverUrl', '--server-url', 'TREELINE_SERVER_URL'],
  ['clientKey', '--client-key', 'TREELINE_CLIENT_KEY'],
  ['token', '--token', 'TREELINE_TOKEN']
] as const

/**
 * Reads a file that an option names. At the start a pipe will do; later one would hold the reload, and the stop, until
 * someone writes to it.
 */
type ReadFile = (name: string, path: string) => Promise<string>

/** The time after a signal for what is being read when it comes. */
const READING_LIMIT_MS = 1_000

const DEFAULT_HEALTH_LISTEN = '0.0.0.0:8080'

/** `treeline client`. */
export function register(program: Command): void {
  program
    .command('client')
    .description('Register with a relay, and forward its requests to a URL that this machine can reach')
    .option('--base-url <url>', 'URL that receives the requests: http or https (TREELINE_BASE_URL)')
    .option(
      '--protocol <name>',
      'http/1.1, h2 (HTTP/2 over TLS) or h2c (without TLS) at the base URL (TREELINE_PROTOCOL)'
    )
    .option('--server-url <url>', 'URL of the relay: https or wss (TREELINE_SERVER_URL)')
    .option('--client-key <key>', 'name to register under (TREELINE_CLIENT_KEY)')
    .option('--token <token>', 'token for that key (TREELINE_TOKEN, which other users of this machine cannot see)')
    .option('--token-file <file>', 'file with that token; SIGHUP reads it again (TREELINE_TOKEN_FILE)')
    .addOption(new Option('--styra-token <token>', 'the same as --token').hideHelp())
    .option('--client-id <id>', 'id of this client among those with the same key (TREELINE_CLIENT_ID; default: random)')
    .option('--ca <file>', "trusted certificates (PEM) for both URLs, instead of Node's")
    .option(
      '--health-listen <host:port>',
      `address of probes and metrics (TREELINE_HEALTH_LISTEN; ${DEFAULT_HEALTH_LISTEN})`
    )
    .addHelpText(
      'after',
      example(
        'treeline client --base-url https://git.internal --server-url https://relay.example.com --client-key git --token-file token'
      )
    )
    .action(run)
}

async function run(options: ClientCommandOptions): Promise<void> {
  hideArgument(options.token ?? options.styraToken)
  const settings = readClientSettings(options, process.env)
  const tokenFileName = options.tokenFile === undefined ? 'TREELINE_TOKEN_FILE' : '--token-file'
  const readSecrets = async (read: ReadFile) => ({
    token: settings.token === '' ? await readTokenFile(read, tokenFileName, settings.tokenFile) : settings.token,
    ca: await readTrust(read, options.ca, process.env)
  })
  const secrets = await Promise.race([readSecrets(readNamedFile), stopAsked().then(() => undefined)])
  if (secrets === undefined) {
    setTimeout(leaveStopSignals, READING_LIMIT_MS).unref() // a pipe that nobody writes to would hold the process
    return
  }
  const [{ startClient }, { createLog }] = await Promise.all([
    import('../../client-proxy/start-client.js'),
    import('../../process/log.js')
  ])
  const { logger, level, lostLines } = await createLog({ level: 'info', base: { client: settings.clientKey } })
  const manager = findServiceManager(logger)
  const client = await startClient({ ...settings, secrets, lostLogLines: lostLines, logger })
  const details = { clientId: settings.clientId, server: settings.serverUrl, health: client.healthAddress }
  const reload = async () => {
    try {
      const isOther = client.replaceSecrets(await readSecrets(readConfiguredFile))
      logger.info({}, isOther ? 'reloaded; opening a new link' : 'reloaded; nothing changed')
    } catch (error) {
      logger.error({ problem: errorMessage(error) }, 'cannot reload; the former token and certificates stay in force')
    }
  }
  await serveUntilStopped(
    { started: { message: 'started', details }, reload, stop: () => client.stop() },
    {
      process: { kind: 'client', name: settings.clientKey, level },
      logger,
      manager,
      stoppingMessage: 'stopping; requests under way may finish'
    }
  )
}

export interface ClientSettings {
  readonly baseUrl: URL
  readonly protocol: ServiceProtocol
  readonly serverUrl: string
  readonly clientKey: string
  readonly clientId: string
  /** Empty: it is in `tokenFile`. */
  readonly token: string
  readonly tokenFile: string
  readonly healthListen: ListenAddress
}

/** @throws {UsageError} naming every option that is missing or wrong; never with the token */
export function readClientSettings(options: ClientCommandOptions, env: Environment): ClientSettings {
  const tokenFile = options.tokenFile ?? env.TREELINE_TOKEN_FILE ?? ''
  const ownToken = options.token ?? options.styraToken
  if (ownToken !== undefined && options.tokenFile !== undefined) {
    throw new UsageError('--token and --token-file: give one of them')
  }
  const given = { ...options, token: ownToken }
  const values = new Map<string, string>()
  /** The name under which a value was given, for messages. */
  const nameOf = (own: string | undefined, flag: string, variable: string) => (own === undefined ? variable : flag)
  const missing: string[] = []
  for (const [name, flag, variable] of NEEDED) {
    if (name === 'token' && tokenFile !== '' && ownToken === undefined) continue
    const value = given[name] ?? env[variable] ?? ''
    if (value === '') missing.push(`${flag} (or ${variable})`)
    else values.set(name, value)
  }
  if (missing.length > 0) throw new UsageError(`missing: ${missing.join(', ')}`)
  const clientKey = values.get('clientKey') ?? ''
  if (!isClientKey(clientKey)) {
    const name = nameOf(given.clientKey, '--client-key', 'TREELINE_CLIENT_KEY')
    throw new UsageError(`${name} ${JSON.stringify(clientKey.slice(0, 80))}: a client key has ${CLIENT_KEY_RULE}`)
  }
  const clientId = options.clientId ?? env.TREELINE_CLIENT_ID ?? randomUUID()
  if (!isClientId(clientId)) {
    const name = nameOf(options.clientId, '--client-id', 'TREELINE_CLIENT_ID')
    throw new UsageError(`${name} ${JSON.stringify(clientId.slice(0, 80))}: letters, digits, _, - and . are allowed`)
  }
  const listen = options.healthListen ?? env.TREELINE_HEALTH_LISTEN ?? DEFAULT_HEALTH_LISTEN
  const healthListen = listenAddress.parse(listen)
  if (healthListen === undefined) {
    const name = nameOf(options.healthListen, '--health-listen', 'TREELINE_HEALTH_LISTEN')
    throw new UsageError(`${name} ${JSON.stringify(listen)}: expected ${listenAddress.expected}`)
  }
  const baseUrlName = nameOf(given.baseUrl, '--base-url', 'TREELINE_BASE_URL')
  const serverUrlName = nameOf(given.serverUrl, '--server-url', 'TREELINE_SERVER_URL')
  const baseUrl = readUrl(baseUrlName, values.get('baseUrl') ?? '', ['http:', 'https:'])
  const protocolName = nameOf(options.protocol, '--protocol', 'TREELINE_PROTOCOL')
  return {
    baseUrl,
    protocol: readProtocol(protocolName, options.protocol ?? env.TREELINE_PROTOCOL ?? 'http/1.1', baseUrl),
    serverUrl: readServerUrl(serverUrlName, values.get('serverUrl') ?? ''),
    clientKey,
    clientId,
    token: values.get('token')?.trim() ?? '',
    tokenFile,
    healthListen
  }
}

function readProtocol(name: string, text: string, baseUrl: URL): ServiceProtocol {
  if (!isServiceProtocol(text)) {
    throw new UsageError(`${name} ${JSON.stringify(text.slice(0, 80))}: expected ${SERVICE_PROTOCOLS.join(', ')}`)
  }
  const problem = protocolProblem(text, baseUrl)
  if (problem !== undefined) throw new UsageError(`${name} ${text}: ${problem}`)
  return text
}

/** The path at which links are opened, which Styra's client is given with the URL; ours adds it by itself. */
const REGISTRATION = /\/v1\/relay\/register\/*$/

/** Reads the server's URL, which has to use TLS: without it the token would be seen on the way. */
function readServerUrl(name: string, text: string): string {
  const { host, pathname } = readUrl(name, text, ['https:', 'wss:'])
  return `wss://${host}${pathname.replace(REGISTRATION, '').replace(/\/+$/, '')}`
}

/** Reads a URL. A text with `@` is not shown in messages: it may contain a password. */
function readUrl(name: string, text: string, protocols: readonly string[]): URL {
  const expected = `expected a URL that begins with ${protocols.map(protocol => `${protocol}//`).join(' or ')}`
  const shown = text.includes('@') ? name : `${name} ${JSON.stringify(text.slice(0, 80))}`
  if (!URL.canParse(text)) throw new UsageError(`${shown} is no URL: ${expected}`)
  const url = new URL(text)
  if (!protocols.includes(url.protocol)) throw new UsageError(`${shown} begins with ${url.protocol}: ${expected}`)
  if (url.username !== '' || url.password !== '') {
    throw new UsageError(`${name} has credentials in it, which are not used: leave them to the callers`)
  }
  if (url.search !== '' || url.hash !== '') throw new UsageError(`${name} must not have a ? or # in it`)
  return url
}

/**
 * `--ca` instead of everything else. `SSL_CERT_FILE` and `NODE_EXTRA_CA_CERTS` besides what Node trusts.
 * @returns undefined where Node's own trust is enough
 */
async function readTrust(read: ReadFile, ca: string | undefined, env: Environment): Promise<string[] | undefined> {
  if (ca !== undefined) return [certificatesIn('--ca', ca, await read('--ca', ca))]
  if (env.SSL_CERT_FILE === undefined || env.SSL_CERT_FILE === '') return undefined // Node reads the other one itself
  const extra = env.NODE_EXTRA_CA_CERTS ?? ''
  return [
    ...rootCertificates,
    await read('SSL_CERT_FILE', env.SSL_CERT_FILE),
    ...(extra === '' ? [] : [await read('NODE_EXTRA_CA_CERTS', extra)])
  ]
}

async function readTokenFile(read: ReadFile, name: string, file: string): Promise<string> {
  const token = (await readSecretFile(name, file, read)).trim()
  if (token === '') throw new UsageError(`${name} ${file}: it is empty`)
  return token
}
