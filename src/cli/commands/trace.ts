import type { Command } from 'commander'
import { asObject, type JsonObject, objectsOf } from '../../relay-client/json-answer.js'
import { apiPath } from '../../relay-client/relay-client.js'
import { checkNodeId } from '../../values/ids.js'
import { type NodeState, parseNodeState } from '../../values/runs/reported-node-state.js'
import { printable } from '../../values/text/printable.js'
import { addServerOptions, JSON_OPTION, type ShowOptions, withClient } from '../options/connection-options.js'
import { example } from '../options/example.js'
import { type Columns, cell, printJson, printList, showMs, showTime } from '../output/table.js'

const COLUMNS: Columns = {
  FROM: hop => hop.from,
  TO: hop => hop.to,
  WAY: hop => hop.way,
  'ROUND TRIP': hop => showMs(hop.round_trip_ms),
  'WAITING FILES': hop => hop.waiting_files,
  VERSION: hop => hop.version,
  PROTOCOL: hop => hop.protocol
}

/** `treeline trace <node>`: exit code 1 when the way is broken. */
export function register(program: Command): void {
  addServerOptions(
    program.command('trace').description('Show the way to a node, hop by hop, up to the hop that is broken')
  )
    .argument('<node>', 'id of the node')
    .option(...JSON_OPTION)
    .addHelpText('after', example('treeline trace node-17'))
    .action(trace)
}

async function trace(node: string, options: ShowOptions): Promise<void> {
  checkNodeId(node)
  await withClient(options, async client => {
    const answer = asObject(await client.json({ method: 'GET', path: apiPath('trace', node) }), 'an object')
    if (answer.problem !== undefined) process.exitCode = 1
    if (options.json === true) return printJson(answer)
    const hops = objectsOf(answer, 'hops')
    if (hops.length > 0) printList(hops, COLUMNS)
    process.stdout.write(`${verdict(node, answer, hops.at(-1)?.way === 'command')}\n`)
    const state = parseNodeState(answer.node)
    if (state !== undefined) process.stdout.write(describeNode(state))
  })
}

function describeNode(state: NodeState): string {
  const { runs_running, runs_waiting, file_problems, certificate_ends_at, started_at } = state
  const lines = [
    `its agent runs since ${showTime(started_at)}; runs: ${runs_running} under way, ${runs_waiting} waiting`,
    ...(certificate_ends_at === undefined ? [] : [`its certificate ends ${showTime(certificate_ends_at)}`]),
    ...file_problems.map(problem => `file: ${printable(problem)}`)
  ]
  return lines.map(line => `${line}\n`).join('')
}

function verdict(node: string, { reached, problem }: JsonObject, isByCommand: boolean): string {
  if (problem !== undefined) return `broken behind ${printable(cell(reached))}: ${printable(cell(problem))}`
  if (isByCommand)
    return `${printable(cell(reached))} runs ${node} by a command: whether that reaches it, only a run shows`
  return `${node} answers`
}
