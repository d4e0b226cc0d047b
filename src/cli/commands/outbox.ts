import type { Command } from 'commander'
import { asObject, objectsOf } from '../../relay-client/json-answer.js'
import { apiPath } from '../../relay-client/relay-client.js'
import { isUlid } from '../../values/runs/run-id.js'
import { UsageError } from '../command-error.js'
import { addServerOptions, JSON_OPTION, type ShowOptions, withClient } from '../options/connection-options.js'
import { example } from '../options/example.js'
import { type Columns, cell, printList, showBytes, showTime } from '../output/table.js'

const COLUMNS: Columns = {
  ID: entry => entry.id,
  STATE: entry => entry.state,
  'TARGET/SOURCE/FILE': entry => [entry.target, entry.source, entry.file_id].map(cell).join('/'),
  SIZE: entry => showBytes(entry.size),
  EXPIRES: entry => showTime(entry.expires_at),
  ATTEMPTS: entry => entry.attempts,
  NEXT: entry => showTime(entry.next_attempt_at),
  'LAST ERROR': entry => entry.last_error
}

/** `treeline outbox list | retry | drop`. */
export function register(program: Command): void {
  const outbox = program.command('outbox').description('List, retry and drop files that wait for another relay')
  addServerOptions(outbox.command('list').description('List the waiting files, with the reason for each'))
    .option(...JSON_OPTION)
    .addHelpText('after', example('treeline outbox list'))
    .action(list)
  addServerOptions(outbox.command('retry').description('Send waiting files now, also those that failed'))
    .argument('[id]', 'id of one entry, as in the list (default: all)')
    .addHelpText('after', example('treeline outbox retry'))
    .action(retry)
  addServerOptions(outbox.command('drop').description('Drop an entry and its file'))
    .argument('<id>', 'id of the entry, as in the list')
    .addHelpText('after', example('treeline outbox drop 01K9ZT5R9C8YQ2W7C0M3V6X1AB'))
    .action(drop)
}

async function list(options: ShowOptions): Promise<void> {
  await withClient(options, async client => {
    const answer = asObject(await client.json({ method: 'GET', path: 'outbox' }), 'an object')
    const entries = objectsOf(answer, 'entries')
    printList(entries, COLUMNS, options.json)
    const all = Number(answer.pending) + Number(answer.failed)
    if (options.json !== true && all > entries.length)
      console.error(
        `${entries.length} of ${all} are shown: ${cell(answer.pending)} pending, ${cell(answer.failed)} failed`
      )
  })
}

async function retry(id: string | undefined, options: ShowOptions): Promise<void> {
  if (id !== undefined) checkEntryId(id)
  await withClient(options, async client => {
    const path = id === undefined ? apiPath('outbox', 'retry') : apiPath('outbox', id, 'retry')
    const { retried } = asObject(await client.json({ method: 'POST', path }), 'an object')
    console.log(`${cell(retried)} tried now; treeline outbox list shows what came of it`)
  })
}

async function drop(id: string, options: ShowOptions): Promise<void> {
  checkEntryId(id)
  await withClient(options, async client => {
    await client.text({ method: 'DELETE', path: apiPath('outbox', id) })
    console.log(`${id} is dropped`)
  })
}

function checkEntryId(id: string): void {
  if (isUlid(id)) return
  throw new UsageError(`invalid entry: ${JSON.stringify(id.slice(0, 80))}; \`treeline outbox list\` shows their ids`)
}
