import { type Command, Option } from 'commander'
import { isTokenKeyId, TOKEN_ALGORITHMS } from '../../../keys/tokens/token-key.js'
import { FORM } from '../../../network/header-names.js'
import { asObject, objectsOf } from '../../../relay-client/json-answer.js'
import { apiPath } from '../../../relay-client/relay-client.js'
import { UsageError } from '../../command-error.js'
import {
  addServerOptions,
  JSON_OPTION,
  type ServerOptions,
  type ShowOptions,
  withClient
} from '../../options/connection-options.js'
import { example } from '../../options/example.js'
import { type Columns, cell, printJson, printList } from '../../output/table.js'

const COLUMNS: Columns = {
  ID: key => key.id,
  ALGORITHM: key => key.algorithm,
  '': key => (key.can_sign === true ? '' : 'its private key is not here')
}

/** `treeline token key create | list | retire`. */
export function registerTokenKeys(token: Command): void {
  const key = token.command('key').description('Create, list and retire the keys that sign tokens (JWT), at the root')
  addServerOptions(key.command('create').description('Create a key; new tokens are signed by the newest one'))
    .addOption(new Option('--algorithm <name>', 'kind of key').choices(TOKEN_ALGORITHMS).default('EdDSA'))
    .option(...JSON_OPTION)
    .addHelpText('after', example('treeline token key create'))
    .action(create)
  addServerOptions(key.command('list').description('List the keys, the oldest first'))
    .option(...JSON_OPTION)
    .addHelpText('after', example('treeline token key list'))
    .action(list)
  addServerOptions(key.command('retire').description('Retire a key: all tokens that it signed are refused'))
    .argument('<id>', 'id of the key')
    .addHelpText('after', example('treeline token key retire nAUxcHyLHhlF8dCL6bsyaBsnUpZrrTjCWQ7dCUsvTB4'))
    .action(retire)
}

async function create(options: ShowOptions & { readonly algorithm: string }): Promise<void> {
  await withClient(options, async client => {
    const body = new URLSearchParams({ algorithm: options.algorithm }).toString()
    const answer = await client.json({ method: 'POST', path: 'v1/token-keys', headers: { 'content-type': FORM }, body })
    const made = asObject(answer, 'a key')
    if (options.json === true) return printJson(made)
    console.log(cell(made.id))
  })
}

async function list(options: ShowOptions): Promise<void> {
  await withClient(options, async client => {
    const answer = await client.json({ method: 'GET', path: 'v1/token-keys' })
    printList(objectsOf(asObject(answer, 'a list of keys'), 'keys'), COLUMNS, options.json)
  })
}

async function retire(id: string, options: ServerOptions): Promise<void> {
  if (!isTokenKeyId(id)) {
    throw new UsageError(`invalid key id: ${JSON.stringify(id.slice(0, 80))}; \`treeline token key list\` shows them`)
  }
  await withClient(options, async client => {
    await client.text({ method: 'DELETE', path: apiPath('v1', 'token-keys', id) })
  })
}
