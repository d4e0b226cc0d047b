import type { Command } from 'commander'
import { BrokenAnswerError } from '../../relay-client/answer-body.js'
import { asObject, type JsonObject, objectsOf } from '../../relay-client/json-answer.js'
import { readLines } from '../../relay-client/ndjson-lines.js'
import { readPages } from '../../relay-client/pages.js'
import { apiPath, type RelayClient } from '../../relay-client/relay-client.js'
import { parseRunEvent } from '../../values/runs/run-event.js'
import { checkRunId } from '../../values/runs/run-id.js'
import { printable } from '../../values/text/printable.js'
import { CommandError } from '../command-error.js'
import { addServerOptions, JSON_OPTION, type ShowOptions, withClient } from '../options/connection-options.js'
import { readCount } from '../options/count-option.js'
import { example } from '../options/example.js'
import { type Columns, cell, formatList, formatRecord, printJson, printList, showTime } from '../output/table.js'

/** The largest page of runs that a relay shows. */
const MAX_RUNS = 1_000

const COLUMNS: Columns = {
  ID: run => run.id,
  STATE: run => run.state,
  STARTED: run => showTime(run.started_at),
  'ASKED BY': run => run.asked_by,
  NODES: run => run.nodes,
  OUTCOMES: run => showCounts(run.counts)
}

const NODE_COLUMNS: Columns = {
  NODE: node => node.node,
  VIA: node => node.via ?? node.reached,
  OUTCOME: node => node.outcome,
  EXIT: node => node.exit_code,
  DURATION: node => (typeof node.duration_ms === 'number' ? `${(node.duration_ms / 1000).toFixed(1)} s` : '-'),
  'BROKEN HOP': node => showHop(node.unreached),
  MESSAGE: node => node.message
}

/** `treeline runs list | show | cancel | events`. */
export function register(program: Command): void {
  const runs = program.command('runs').description('List, show, cancel and follow runs')
  addServerOptions(runs.command('list').description('List runs, the newest first'))
    .option('--limit <count>', `number of runs, 1 to ${MAX_RUNS}`, '20')
    .option('--before <id>', 'id of a run: list only older ones')
    .option(...JSON_OPTION)
    .addHelpText('after', example('treeline runs list --limit 5'))
    .action(list)
  addServerOptions(runs.command('show').description('Show a run, and the outcome of each node'))
    .argument('<id>', 'id of the run, as in the list')
    .option(...JSON_OPTION)
    .addHelpText('after', example('treeline runs show 01K9ZT5R9C8YQ2W7C0M3V6X1AB'))
    .action(show)
  addServerOptions(runs.command('cancel').description('Cancel the rest of a run'))
    .argument('<id>', 'id of the run, as in the list')
    .option(...JSON_OPTION)
    .addHelpText('after', example('treeline runs cancel 01K9ZT5R9C8YQ2W7C0M3V6X1AB'))
    .action(cancel)
  addServerOptions(runs.command('events').description("Follow a run's events to its end, each a line of JSON"))
    .argument('<id>', 'id of the run, as in the list')
    .option('--after <seq>', 'number of an event (seq): show only later ones', '0')
    .addHelpText('after', example('treeline runs events 01K9ZT5R9C8YQ2W7C0M3V6X1AB --after 120'))
    .action(events)
}

async function list(options: ShowOptions & { readonly limit: string; readonly before?: string }): Promise<void> {
  if (options.before !== undefined) checkRunId(options.before)
  const limit = readCount('--limit', options.limit, { min: 1, max: MAX_RUNS })
  await withClient(options, async client => {
    const query = { limit: String(limit), ...(options.before === undefined ? {} : { before: options.before }) }
    const runs = objectsOf(asObject(await client.json({ method: 'GET', path: 'runs', query }), 'an object'), 'runs')
    printList(runs, COLUMNS, options.json)
  })
}

async function show(id: string, options: ShowOptions): Promise<void> {
  checkRunId(id)
  await withClient(options, async client => {
    const { record, nodes } = await readRun(client, id)
    if (options.json === true) return printJson({ ...record, node_records: nodes })
    process.stdout.write(formatRecord(describe(record)))
    process.stdout.write(`\n${formatList(nodes, NODE_COLUMNS)}`)
  })
}

async function cancel(id: string, options: ShowOptions): Promise<void> {
  checkRunId(id)
  await withClient(options, async client => {
    const answer = await client.json({ method: 'POST', path: apiPath('runs', id, 'cancel') })
    if (options.json === true) return printJson(answer)
    process.stdout.write(formatRecord(describe(asObject(answer, 'a run'))))
  })
}

async function events(id: string, options: ShowOptions & { readonly after: string }): Promise<void> {
  checkRunId(id)
  const after = readCount('--after', options.after, { min: 0, max: Number.MAX_SAFE_INTEGER })
  await withClient(options, async client => {
    const path = apiPath('runs', id, 'events')
    const answer = await client.request({ method: 'GET', path, query: { after: String(after) }, isPatient: true })
    let seen = after
    try {
      for await (const line of readLines(answer.body)) {
        process.stdout.write(`${printable(line)}\n`)
        seen = parseRunEvent(line)?.seq ?? seen
      }
    } catch (error) {
      if (!(error instanceof BrokenAnswerError)) throw error
      const how = `\`treeline runs events ${id} --after ${seen}\` goes on from there`
      throw new CommandError(`${error.message}; ${how}`, undefined, { cause: error })
    }
  })
}

/** The record, with the nodes of all its pages. */
async function readRun(client: RelayClient, id: string): Promise<{ record: JsonObject; nodes: JsonObject[] }> {
  const nodes: JsonObject[] = []
  let record: JsonObject = {}
  for await (const page of readPages(client, { path: apiPath('runs', id), query: { limit: '1000' } })) {
    nodes.push(...objectsOf(page, 'node_records'))
    const { node_records: _, next: __, ...rest } = page
    record = rest
  }
  return { record, nodes }
}

function describe(run: JsonObject): Record<string, unknown> {
  return {
    id: run.id,
    state: run.state,
    'asked by': run.asked_by,
    nodes: run.nodes,
    conditions: Array.isArray(run.conditions) && run.conditions.length > 0 ? run.conditions.join(',') : undefined,
    started: showTime(run.started_at),
    ended: showTime(run.ended_at),
    outcomes: showCounts(run.counts)
  }
}

/** `relay-a -> sub`: where the way to a node that was not reached ended. */
function showHop(hop: unknown): string {
  if (typeof hop !== 'object' || hop === null || !('from' in hop) || !('to' in hop)) return '-'
  return `${cell(hop.from)} -> ${cell(hop.to)}`
}

function showCounts(counts: unknown): string {
  if (typeof counts !== 'object' || counts === null) return '-'
  const shown = Object.entries(counts).filter(([, count]) => count !== 0)
  return shown.map(([outcome, count]) => `${outcome} ${cell(count)}`).join(', ') || '-'
}
