import type { Command } from 'commander'
import { asObject, type JsonObject, objectsOf } from '../../relay-client/json-answer.js'
import { pathOf, type RelayClient } from '../../relay-client/relay-client.js'
import { checkNodeId } from '../../values/ids.js'
import { CLIENT_KEY_RULE, isClientId, isClientKey } from '../../values/keys/client-key.js'
import { UsageError } from '../command-error.js'
import { example } from '../options/example.js'
import { addServerOptions, type ServerOptions, withClient } from '../options/server-options.js'
import { cell, formatTable, printJson, showBytes, showTime } from '../output/table.js'

interface ListOptions extends ServerOptions {
  readonly json?: boolean
}

interface CloseOptions extends ServerOptions {
  readonly client?: boolean
}

/** `treeline links list | close`. */
export function register(program: Command): void {
  const links = program.command('links').description('List and close the links of relays, nodes and clients')
  addServerOptions(links.command('list').description('List all links, the oldest first'))
    .option('--json', 'print JSON')
    .addHelpText('after', example('treeline links list --config /etc/treeline'))
    .action(list)
  addServerOptions(links.command('close').description('Close a link; its holder opens another'))
    .argument('<id>', 'id of the relay or node')
    .option('--client', 'close links of clients: <id> is a client key, or the id of one client')
    .addHelpText('after', example('treeline links close relay-b'))
    .action(close)
}

async function list(options: ListOptions): Promise<void> {
  await withClient(options, async client => {
    const links: JsonObject[] = []
    for await (const link of listLinks(client)) links.push(link)
    if (options.json === true) return printJson(links)
    const rows = links.map(link => [
      cell(link.kind),
      link.client_id === undefined ? cell(link.id) : `${cell(link.id)} ${cell(link.client_id)}`,
      cell(link.remote_address),
      showTime(link.connected_at),
      typeof link.rtt_ms === 'number' ? `${link.rtt_ms} ms` : '-',
      cell(link.streams),
      cell(link.lanes),
      size(link.received),
      size(link.sent),
      cell(link.program)
    ])
    const headings = ['KIND', 'ID', 'FROM', 'SINCE', 'PING', 'STREAMS', 'LANES', 'RECEIVED', 'SENT', 'PROGRAM']
    process.stdout.write(formatTable(headings, rows))
  })
}

async function close(id: string, options: CloseOptions): Promise<void> {
  if (options.client !== true) checkNodeId(id)
  else if (!isClientKey(id) && !isClientId(id)) {
    throw new UsageError(`invalid client: ${JSON.stringify(id.slice(0, 80))}; a client key has ${CLIENT_KEY_RULE}`)
  }
  await withClient(options, async client => {
    const path = pathOf(options.client === true ? 'clients' : 'links', id)
    const answer = asObject(await client.json({ method: 'DELETE', path, root: LINKS_ROOT }), 'an object')
    for (const { client_key: key, client_id: clientId, remote_address: address } of objectsOf(answer, 'result')) {
      const who = key === undefined ? id : `${cell(key)} ${cell(clientId)}`
      console.log(`closed: ${who} from ${cell(address)}`)
    }
  })
}

/** Below the relay's address, not below the prefix of its API. */
const LINKS_ROOT = '/v1/relay/'

async function* listLinks(client: RelayClient): AsyncGenerator<JsonObject> {
  let after: string | undefined
  do {
    const query = after === undefined ? {} : { after }
    const page = asObject(await client.json({ method: 'GET', path: 'links', root: LINKS_ROOT, query }), 'an object')
    yield* objectsOf(page, 'result')
    after = typeof page.next === 'string' && page.next !== after ? page.next : undefined
  } while (after !== undefined)
}

function size(bytes: unknown): string {
  return typeof bytes === 'number' ? showBytes(bytes) : '-'
}
