import type { Command } from 'commander'
import { CLIENT_KEY_RULE, isClientId, isClientKey } from '../../keys/tokens/client-key.js'
import { asObject, type JsonObject, objectsOf } from '../../relay-client/json-answer.js'
import { readPages } from '../../relay-client/pages.js'
import { apiPath, type RelayClient } from '../../relay-client/relay-client.js'
import { checkNodeId } from '../../values/ids.js'
import { UsageError } from '../command-error.js'
import {
  addServerOptions,
  JSON_OPTION,
  type ServerOptions,
  type ShowOptions,
  withClient
} from '../options/connection-options.js'
import { example } from '../options/example.js'
import { type Columns, cell, printList, showBytes, showMs, showTime } from '../output/table.js'

interface CloseOptions extends ServerOptions {
  readonly client?: boolean
}

const COLUMNS: Columns = {
  KIND: link => link.kind,
  ID: link => (link.client_id === undefined ? link.id : `${cell(link.id)} ${cell(link.client_id)}`),
  FROM: link => link.remote_address,
  SINCE: link => showTime(link.connected_at),
  PING: link => showMs(link.rtt_ms),
  STREAMS: link => link.streams,
  LANES: link => link.lanes,
  RECEIVED: link => showBytes(link.received),
  SENT: link => showBytes(link.sent),
  PROGRAM: link => link.program
}

/** `treeline links list | close`. */
export function register(program: Command): void {
  const links = program.command('links').description('List and close the links of relays, nodes and clients')
  addServerOptions(links.command('list').description('List all links, the oldest first'))
    .option(...JSON_OPTION)
    .addHelpText('after', example('treeline links list --config /etc/treeline'))
    .action(list)
  addServerOptions(links.command('close').description('Close a link; its holder opens another'))
    .argument('<id>', 'id of the relay or node')
    .option('--client', 'close links of clients: <id> is a client key, or the id of one client')
    .addHelpText('after', example('treeline links close relay-b'))
    .action(close)
}

async function list(options: ShowOptions): Promise<void> {
  await withClient(options, async client => {
    const links: JsonObject[] = []
    for await (const link of listLinks(client)) links.push(link)
    printList(links, COLUMNS, options.json)
  })
}

async function close(id: string, options: CloseOptions): Promise<void> {
  if (options.client !== true) checkNodeId(id)
  else if (!isClientKey(id) && !isClientId(id)) {
    throw new UsageError(`invalid client: ${JSON.stringify(id.slice(0, 80))}; a client key has ${CLIENT_KEY_RULE}`)
  }
  await withClient(options, async client => {
    const path = apiPath(options.client === true ? 'clients' : 'links', id)
    const answer = asObject(await client.json({ method: 'DELETE', path, root: LINKS_ROOT }), 'an object')
    for (const { client_key: key, client_id: clientId, remote_address: address, path: between } of objectsOf(
      answer,
      'result'
    )) {
      const who = key === undefined ? id : `${cell(key)} ${cell(clientId)}`
      const way = Array.isArray(between) && between.length > 0 ? ` by ${between.map(cell).join(' > ')}` : ''
      console.log(`closed: ${who} from ${cell(address)}${way}`)
    }
  })
}

/** The prefix of the link routes, below the relay's address and not below the prefix of its API. */
const LINKS_ROOT = '/v1/relay/'

async function* listLinks(client: RelayClient): AsyncGenerator<JsonObject> {
  for await (const page of readPages(client, { path: 'links', root: LINKS_ROOT })) yield* objectsOf(page, 'result')
}
