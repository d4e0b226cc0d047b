import { type Command, Option } from 'commander'
import type { Config } from '../config/config.js'
import { errorMessage, UsageError } from './command-error.js'
import { readNamedFile } from './named-file.js'
import type { RelayClient } from './relay-client.js'
import { UNIX_SOCKET } from './unix-socket.js'

const DEFAULT_SERVER = 'http://127.0.0.1:3030'

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

/**
 * Adds what says which relay is asked, and how it is reached.
 * @param keyOption `--tls-key` where `--key` names the key that signs files
 */
export function addServerOptions(command: Command, keyOption: '--key' | '--tls-key' = '--key'): Command {
  return command
    .option('-c, --config <dir>', "the relay's configuration directory, to find its address and node id")
    .option(
      '--server <url>',
      `the relay to ask (default: general.socket or general.listen of --config, or ${DEFAULT_SERVER}); also unix:<path>`
    )
    .option('--token-file <file>', 'file with the admin token of that relay')
    .option('--ca <file>', "certificates (PEM) to trust for https, instead of the system's")
    .option('--cert <file>', 'our certificate (PEM), shown to the relay')
    .option(`${keyOption} <file>`, "our certificate's private key (PEM)")
    .addOption(
      new Option('--pin <hash>', "trust the relay's certificate with this SHA-256 alone: hex, or sha256//<base64>")
    )
}

/**
 * The relay that the options lead to. Nothing is connected yet. To be closed by the caller.
 * @throws {UsageError} for options, a configuration or files that cannot be used
 */
export async function openClient(options: ServerOptions): Promise<RelayClient> {
  const { createRelayClient } = await import('./relay-client.js')
  const [ca, cert, key, token] = await Promise.all([
    readOptional(options.ca, '--ca'),
    readOptional(options.cert, '--cert'),
    readOptional(options.tlsKey ?? options.key, options.tlsKey === undefined ? '--key' : '--tls-key'),
    readOptional(options.tokenFile, '--token-file')
  ])
  if ((cert === undefined) !== (key === undefined))
    throw new UsageError('--cert and its key are given both or not at all')
  return createRelayClient({
    server: await findServer(options),
    token: token?.trim(),
    tls: { ca, cert, key, pin: options.pin }
  })
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
export async function readConfig(options: Pick<ServerOptions, 'config'>): Promise<Config | undefined> {
  if (options.config === undefined) return undefined
  const { loadConfig } = await import('../config/config-loader.js')
  try {
    return loadConfig(options.config)
  } catch (error) {
    throw new UsageError(`--config ${options.config}: ${errorMessage(error)}`, { cause: error })
  }
}

async function findServer(options: ServerOptions): Promise<string> {
  if (options.server !== undefined) return options.server
  const config = await readConfig(options)
  if (config === undefined) return DEFAULT_SERVER
  if (config.general.socket !== undefined) return `${UNIX_SOCKET}${config.general.socket}`
  const { host, port } = config.general.listen
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}

async function readOptional(path: string | undefined, option: string): Promise<string | undefined> {
  return path === undefined ? undefined : readNamedFile(option, path)
}
