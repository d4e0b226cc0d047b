import type { Command } from 'commander'
import { FORM } from '../../../network/header-names.js'
import { asObject, type JsonObject } from '../../../relay-client/json-answer.js'
import { listNodes } from '../../../relay-client/node-pages.js'
import { apiPath } from '../../../relay-client/relay-client.js'
import { checkNodeId } from '../../../values/ids.js'
import {
  addServerOptions,
  JSON_OPTION,
  type ServerOptions,
  type ShowOptions,
  withClient
} from '../../options/connection-options.js'
import { example } from '../../options/example.js'
import { type Columns, cell, formatRecord, printJson, printList, showTime } from '../../output/table.js'

const COLUMNS: Columns = {
  ID: node => node.id,
  HOSTNAME: node => node.hostname,
  'POLICY SERVER': node => node.policy_server,
  'KEY HASH': node => node.key_hash
}

/** `treeline nodes list | show | route | import | restore | remove | move`. */
export function register(program: Command): void {
  const nodes = program.command('nodes').description('List, show, route, import, move, remove and restore nodes')
  addServerOptions(nodes.command('list').description('List all nodes that the relay knows'))
    .option(...JSON_OPTION)
    .addHelpText('after', example('treeline nodes list --json'))
    .action(list)
  addServerOptions(nodes.command('show').description('Show a node and its certificates'))
    .argument('<id>', 'id of the node or relay')
    .option(...JSON_OPTION)
    .addHelpText('after', example('treeline nodes show node-17'))
    .action(show)
  addServerOptions(
    nodes.command('route').description('Show the direction of requests for a node: here, down, up or unknown')
  )
    .argument('<id>', 'id of any node, also of one that is not below the relay')
    .option(...JSON_OPTION)
    .addHelpText('after', example('treeline nodes route node-17'))
    .action(route)
  addServerOptions(nodes.command('import').description('Install a new nodes list, and have the relay read it'))
    .argument('[nodeslist]', 'the new nodeslist.json (default: the relay reads the present files again)')
    .option('--certs <file>', 'the new certificates file (PEM)')
    .addHelpText('after', example('treeline nodes import new.json --certs new.pem --config /opt/rudder/etc/relayd'))
    .action(async (file: string | undefined, options: ServerOptions & { readonly certs?: string }) => {
      const { importNodes } = await import('./nodes-import.js')
      await importNodes(file, options)
    })
  addServerOptions(
    nodes
      .command('restore')
      .description('Restore the members of a tree from its nodes list, after the loss of state.db')
      .addHelpText('after', example('treeline nodes restore --config /etc/treeline'))
  ).action(async (options: ServerOptions) => {
    const { restoreMembers } = await import('./nodes-restore.js')
    await restoreMembers(options)
  })
  addServerOptions(
    nodes
      .command('remove')
      .description('Remove a node or relay from the tree, and revoke its certificates and join tokens')
  )
    .argument('<id>', 'id of the node or relay')
    .addHelpText('after', example('treeline nodes remove node-17'))
    .action(remove)
  addServerOptions(nodes.command('move').description('Move a node or relay to another policy server'))
    .argument('<id>', 'id of the node or relay')
    .requiredOption('--under <relay>', 'id of its new policy server')
    .addHelpText('after', example('treeline nodes move node-17 --under relay-2'))
    .action(move)
}

async function remove(id: string, options: ServerOptions): Promise<void> {
  checkNodeId(id)
  await withClient(options, async client => {
    await client.text({ method: 'DELETE', path: apiPath('v1', 'members', id) })
    console.log(`${id} is removed; its certificates and the join tokens for its id are revoked`)
  })
}

async function move(id: string, options: ServerOptions & { readonly under: string }): Promise<void> {
  for (const named of [id, options.under]) checkNodeId(named)
  await withClient(options, async client => {
    const answer = await client.json({
      method: 'POST',
      path: apiPath('v1', 'members', id, 'move'),
      headers: { 'content-type': FORM },
      body: new URLSearchParams({ policy_server: options.under }).toString()
    })
    const { hostname, port } = asObject(answer, 'an address')
    const host = `${cell(hostname)}${typeof port === 'number' ? `:${port}` : ''}`
    console.log(`${id} is under ${options.under} now. If it holds a link, it follows by itself, once it reaches ${host}, and
writes that into its configuration. If not (it was off, its old policy server is gone, or its certificates are
pinned), set this on ${id} in [output.upstream] of main.conf (a relay) or [upstream] of agent.conf (a node), and
restart it:
  host = ${JSON.stringify(host)}
  node_id = ${JSON.stringify(options.under)}`)
  })
}

async function list(options: ShowOptions): Promise<void> {
  await withClient(options, async client => {
    const nodes: JsonObject[] = []
    for await (const node of listNodes(client)) nodes.push(node)
    printList(nodes, COLUMNS, options.json)
  })
}

async function show(id: string, options: ShowOptions): Promise<void> {
  checkNodeId(id)
  await withClient(options, async client => {
    const node = asObject(await client.json({ method: 'GET', path: apiPath('nodes', id) }), 'a node')
    if (options.json === true) return printJson(node)
    const { certificates, ...rest } = node
    process.stdout.write(formatRecord(rest))
    for (const certificate of Array.isArray(certificates) ? certificates : []) {
      const { fingerprint, not_after: notAfter } = asObject(certificate, 'a certificate')
      process.stdout.write(formatRecord({ certificate: `${cell(fingerprint)} until ${showTime(notAfter)}` }))
    }
  })
}

async function route(id: string, options: ShowOptions): Promise<void> {
  checkNodeId(id)
  await withClient(options, async client => {
    const answer = asObject(await client.json({ method: 'GET', path: apiPath('nodes', id, 'route') }), 'a route')
    if (options.json === true) return printJson(answer)
    const hop = typeof answer.hop === 'string' ? ` to ${answer.hop}` : ''
    process.stdout.write(formatRecord({ [id]: `${cell(answer.route)}${hop}` }))
  })
}
