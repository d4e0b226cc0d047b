import type { Command } from 'commander'
import { asObject, type JsonObject } from './json.js'
import { listNodes } from './node-pages.js'
import { pathOf } from './relay-client.js'
import { addServerOptions, type ServerOptions, withClient } from './server-options.js'
import { cell, formatRecord, formatTable, printJson, showTime } from './table.js'

interface NodesOptions extends ServerOptions {
  readonly json?: boolean
}

/** `treeline nodes list | show | route | import`. */
export function register(program: Command): void {
  const nodes = program.command('nodes').description('The nodes that a relay knows')
  addServerOptions(nodes.command('list').description('All of them')).option('--json', 'print JSON').action(list)
  addServerOptions(nodes.command('show').description('One node, and its certificates'))
    .argument('<id>')
    .option('--json', 'print JSON')
    .action(show)
  addServerOptions(nodes.command('route').description('Where the relay sends a request for a node'))
    .argument('<id>', 'any id, also of a node that is not below the relay')
    .option('--json', 'print JSON')
    .action(route)
  addServerOptions(nodes.command('import').description('Put a new nodes list in place, and have the relay read it'))
    .argument('[nodeslist]', 'the new nodeslist.json; without one, the relay reads again what is there')
    .option('--certs <file>', 'the new certificates file (PEM)')
    .action(async (file: string | undefined, options: ServerOptions & { readonly certs?: string }) => {
      const { importNodes } = await import('./nodes-import.js')
      await importNodes(file, options)
    })
}

async function list(options: NodesOptions): Promise<void> {
  await withClient(options, async client => {
    const nodes: JsonObject[] = []
    for await (const node of listNodes(client)) nodes.push(node)
    if (options.json === true) return printJson(nodes)
    const rows = nodes.map(node => [cell(node.id), cell(node.hostname), cell(node.policy_server), cell(node.key_hash)])
    process.stdout.write(formatTable(['ID', 'HOSTNAME', 'POLICY SERVER', 'KEY HASH'], rows))
  })
}

async function show(id: string, options: NodesOptions): Promise<void> {
  await withClient(options, async client => {
    const node = asObject(await client.json({ method: 'GET', path: pathOf('nodes', id) }), 'a node')
    if (options.json === true) return printJson(node)
    const { certificates, ...rest } = node
    process.stdout.write(formatRecord(rest))
    for (const certificate of Array.isArray(certificates) ? certificates : []) {
      const { fingerprint, not_after: notAfter } = asObject(certificate, 'a certificate')
      const until = typeof notAfter === 'number' ? showTime(notAfter) : cell(notAfter)
      process.stdout.write(formatRecord({ certificate: `${cell(fingerprint)} until ${until}` }))
    }
  })
}

async function route(id: string, options: NodesOptions): Promise<void> {
  await withClient(options, async client => {
    const answer = asObject(await client.json({ method: 'GET', path: pathOf('nodes', id, 'route') }), 'a route')
    if (options.json === true) return printJson(answer)
    const hop = typeof answer.hop === 'string' ? ` to ${answer.hop}` : ''
    process.stdout.write(formatRecord({ [id]: `${cell(answer.route)}${hop}` }))
  })
}
