import type { Command } from 'commander'
import { errorMessage } from '../../../values/failures/system-error.js'
import { UsageError } from '../../command-error.js'
import {
  addServerOptions,
  configIn,
  JSON_OPTION,
  openClient,
  type ServerOptions,
  type ShowOptions,
  withClient
} from '../../options/connection-options.js'
import { example } from '../../options/example.js'
import { readSecretFile } from '../../options/secret-file.js'
import { readDuration } from '../../options/time-option.js'
import { formatRecord, printJson, showBytes } from '../../output/table.js'
import { askService, type ServiceAnswer } from './ask-service.js'
import { checkServiceKey, OF_RELAY_ITSELF, replicasOf, showPath } from './replicas.js'
import { type Entry, entryAt, entryOf } from './service-entry.js'

interface TestOptions extends ShowOptions {
  readonly url?: string
  readonly path: string
  readonly callTokenFile?: string
  readonly timeout: string
}

/** The clients under the key, as far as the relay tells. */
interface KnownClients {
  readonly count?: number
  readonly away?: number
  readonly paths?: readonly string[]
  /** The reason why they are not known. */
  readonly unknown?: string
  readonly ms?: number
}

/** Adds `test` to `treeline services`: exit code 1 when no answer of the service comes. */
export function addServiceTest(services: Command): void {
  addServerOptions(services.command('test').description('Ask a service through the tree, and show where that stops'))
    .argument('<key>', 'key of the service')
    .option('--url <url>', "a relay's address for callers of services (default: services.listen of --config)")
    .option('--path <path>', 'the path to ask for, with its query', '/')
    .option('--call-token-file <file>', 'file with a token for the key (call:<key>), for callers from elsewhere')
    .option('--timeout <duration>', 'the limit for the whole answer', '30s')
    .option(...JSON_OPTION)
    .addHelpText('after', example('treeline services test payments-git --config /etc/treeline --path /info'))
    .action(test)
}

async function test(key: string, options: TestOptions): Promise<void> {
  checkServiceKey(key)
  if (!/^\/[\x21-\x7e]*$/.test(options.path) || options.path.includes('#')) {
    throw new UsageError(`--path should begin with / and be percent-encoded, not ${JSON.stringify(options.path)}`)
  }
  const timeoutMs = readDuration('--timeout', options.timeout, 1, 86_400_000)
  const { callTokenFile } = options
  const token = callTokenFile === undefined ? undefined : await readSecretFile('--call-token-file', callTokenFile)
  const entry = options.url === undefined ? await entryOf(options) : entryAt(options.url)
  const clients = await knownClients(key, options)
  const client = await openClient(optionsFor(entry, options))
  try {
    const { path } = options
    const answer = await askService(client, { key, path, root: entry.root, token: token?.trim(), timeoutMs })
    if (answer.stopped !== undefined) process.exitCode = 1
    if (options.json === true) printJson(asJson(key, entry, clients, answer))
    else process.stdout.write(describe(key, entry, clients, answer))
  } finally {
    await client.close()
  }
}

/** The connection options without what belongs to the API: its token is not for services. */
function optionsFor(entry: Entry, { ca, cert, key, pin = ca === undefined ? entry.pin : undefined }: ServerOptions) {
  const trust = { ...(ca === undefined ? {} : { ca }), ...(pin === undefined ? {} : { pin }) }
  const own = { ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }) }
  return { server: entry.server, ...trust, ...own }
}

/** Asks the relay's API, where one is named. Its refusal does not end the test. */
async function knownClients(key: string, options: TestOptions): Promise<KnownClients> {
  const isNamed = (options.server ?? configIn(options) ?? (process.env.TREELINE_SERVER || undefined)) !== undefined
  if (!isNamed) return { unknown: 'neither --server nor --config names a relay to ask' }
  const from = performance.now()
  try {
    const replicas = await withClient(options, client => replicasOf(client, key))
    return {
      count: replicas.length,
      away: replicas.filter(({ stale_since: stale }) => stale !== undefined).length,
      paths: [...new Set(replicas.map(({ path }) => showPath(path)))],
      ms: Math.round(performance.now() - from)
    }
  } catch (error) {
    if (error instanceof UsageError) throw error
    return { unknown: errorMessage(error) }
  }
}

function asJson(key: string, { url }: Entry, clients: KnownClients, answer: ServiceAnswer): object {
  const { status, headMs, wholeMs, bytes, isWhole, stopped } = answer
  return {
    key,
    url: `${url}/${key}`,
    reached: stopped === undefined,
    clients,
    ...(status === undefined ? {} : { status, head_ms: headMs }),
    ...(wholeMs === undefined ? {} : { body_ms: wholeMs, bytes, whole: isWhole }),
    ...(stopped === undefined ? {} : { stopped })
  }
}

function describe(key: string, { url }: Entry, clients: KnownClients, answer: ServiceAnswer): string {
  const { status, reason, headMs, wholeMs, bytes, isWhole, stopped } = answer
  const size = isWhole ? `all ${showBytes(bytes)}` : `${showBytes(bytes)} of more`
  const body = wholeMs === undefined ? '' : `, ${size} after ${wholeMs} ms`
  return formatRecord({
    asked: `${url}/${key}`,
    clients: describeClients(clients),
    answer: status === undefined ? undefined : `${status}${reason} after ${headMs} ms${body}`,
    result: stopped === undefined ? 'the service answers' : `it stops at ${stopped.at}: ${stopped.why}`
  })
}

function describeClients({ count, away = 0, paths = [], unknown, ms }: KnownClients): string {
  if (unknown !== undefined) return `not known: ${unknown}`
  const where =
    paths.length === 0 ? '' : `, ${paths.map(path => (path === OF_RELAY_ITSELF ? path : `by ${path}`)).join(', ')}`
  return `${count}${away === 0 ? '' : `, ${away} of them away`}${where} (${ms} ms)`
}
