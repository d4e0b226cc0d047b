import type { Command } from 'commander'
import type { JsonObject } from '../../../relay-client/json-answer.js'
import { CommandError } from '../../command-error.js'
import { addServerOptions, JSON_OPTION, type ShowOptions, withClient } from '../../options/connection-options.js'
import { example } from '../../options/example.js'
import { type Columns, cell, printJson, printList, showTime } from '../../output/table.js'
import type { ImportOptions } from './import/import-services.js'
import { checkServiceKey, listReplicas, replicasOf, showPath } from './replicas.js'
import { addServiceTest } from './service-test.js'

const DEFAULT_MOUNTS = '/etc/treeline/secrets'

const KEYS: Columns = {
  KEY: key => key.key,
  REPLICAS: key => key.replicas,
  TYPE: key => key.type,
  PATH: key => (Array.isArray(key.paths) ? key.paths.map(showPath).join(', ') : '-'),
  SINCE: key => showTime(key.since),
  AWAY: key => key.away
}

const REPLICAS: Columns = {
  CLIENT: replica => replica.client_id,
  TYPE: replica => replica.type,
  PATH: replica => showPath(replica.path),
  FROM: replica => replica.remote_address,
  SINCE: replica => showTime(replica.connected_at),
  'AWAY SINCE': replica => showTime(replica.stale_since),
  ANNOTATIONS: replica => replica.annotations
}

/** `treeline services list | show | test | import`. */
export function register(program: Command): void {
  const services = program.command('services').description('List, show, test and import services')
  addServerOptions(services.command('list').description('List the keys that a relay reaches, here and below'))
    .option(...JSON_OPTION)
    .addHelpText('after', example('treeline services list --config /etc/treeline'))
    .action(list)
  addServerOptions(services.command('show').description('Show the replicas of a key: the clients that serve it'))
    .argument('<key>', 'key of the service')
    .option(...JSON_OPTION)
    .addHelpText('after', example('treeline services show payments-git'))
    .action(show)
  addServiceTest(services)
  services
    .command('import')
    .description("Print the services of birger's services.yaml as [[service]] entries, or add them to a configuration")
    .argument('<services.yaml>', 'file of an agent of birger')
    .option('--append <file>', 'add the entries to this main.conf or agent.conf')
    .option('--secrets <folder>', 'write the secrets that the file has to files in this folder')
    .option('--mounts <folder>', 'the folder below which Kubernetes secrets (secretName) are mounted', DEFAULT_MOUNTS)
    .option(...JSON_OPTION)
    .addHelpText('after', example('treeline services import services.yaml --append agent.conf --secrets secrets'))
    .action(async (path: string, options: ImportOptions) => {
      const { importServices } = await import('./import/import-services.js')
      await importServices(path, options)
    })
}

async function list(options: ShowOptions): Promise<void> {
  await withClient(options, async client => {
    const byKey = new Map<string, JsonObject[]>()
    for await (const replica of listReplicas(client)) {
      const key = cell(replica.client_key)
      byKey.set(key, [...(byKey.get(key) ?? []), replica])
    }
    printList([...byKey].map(summarize), KEYS, options.json)
  })
}

async function show(key: string, options: ShowOptions): Promise<void> {
  checkServiceKey(key)
  await withClient(options, async client => {
    const replicas = await replicasOf(client, key)
    if (replicas.length === 0) {
      throw new CommandError(
        `no client is registered under ${key} at ${client.server} or below; \`treeline services list\` shows the keys`
      )
    }
    if (options.json === true) printJson({ key, replicas })
    else printList(replicas, REPLICAS)
  })
}

function summarize([key, replicas]: readonly [string, readonly JsonObject[]]): JsonObject {
  const paths = new Map(replicas.map(({ path }) => [JSON.stringify(path), path]))
  const types = new Set(replicas.flatMap(({ type }) => (typeof type === 'string' ? [type] : [])))
  const times = replicas.map(({ connected_at: since }) => cell(since)).sort()
  return {
    key,
    replicas: replicas.length,
    ...(types.size === 0 ? {} : { type: [...types].join(', ') }),
    paths: [...paths.values()],
    since: times[0],
    away: replicas.filter(({ stale_since: stale }) => stale !== undefined).length
  }
}
