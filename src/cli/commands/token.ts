import type { Command } from 'commander'
import { isTokenId } from '../../keys/tokens/join-token.js'
import { isSignedTokenId } from '../../keys/tokens/signed-token.js'
import { FORM } from '../../network/header-names.js'
import { bracketed, HTTPS_PORT } from '../../network/host-and-port.js'
import { asObject } from '../../relay-client/json-answer.js'
import { apiPath } from '../../relay-client/relay-client.js'
import { checkNodeId } from '../../values/ids.js'
import { UsageError } from '../command-error.js'
import {
  addServerOptions,
  JSON_OPTION,
  type ServerOptions,
  type ShowOptions,
  withClient
} from '../options/connection-options.js'
import { readCount } from '../options/count-option.js'
import { example } from '../options/example.js'
import { readDuration } from '../options/time-option.js'
import { type Columns, cell, printJson, printList, showTime } from '../output/table.js'
import { createCallerCertificate } from './tokens/caller-certificate.js'
import { createScopedToken } from './tokens/scoped-token.js'
import { createSignedToken, idInToken, revokeSigned } from './tokens/signed-token.js'
import { registerTokenKeys } from './tokens/token-keys.js'

const MAX_USES = 100_000

interface CreateOptions extends ShowOptions {
  readonly relay?: boolean
  readonly node?: boolean
  readonly under?: string
  readonly uses: string
  readonly expires: string
  readonly id?: string
  readonly scope?: readonly string[]
  readonly append?: string
  readonly jwt?: boolean
  readonly certificate?: string
  readonly ttl?: string
  readonly signWith?: string
  readonly keyId?: string
}

/** The options of one kind of token alone. */
const OF_JOINS = ['relay', 'node', 'under', 'uses', 'expires', 'id']
const OF_SIGNED = ['ttl', 'signWith', 'keyId']
/** Lifetimes, unless another one is given. */
const TTL = '1day'
const CERTIFICATE_TTL = '90days'

const COLUMNS: Columns = {
  ID: token => token.id,
  KIND: token => token.kind,
  UNDER: token => token.policy_server,
  MEMBER: token => token.member ?? '',
  'USES LEFT': token => token.uses,
  UNTIL: token => showTime(token.expires_at),
  '': token => (token.revoked === true ? 'revoked' : '')
}

/** `treeline token create | list | revoke`. */
export function register(program: Command): void {
  const token = program
    .command('token')
    .description('Create, list and revoke tokens: to join with, at the root; of clients and callers of services')
  addServerOptions(
    token
      .command('create')
      .description('Create a token, and print the command for the new machine, or the token itself')
  )
    .option('--relay', 'for a relay')
    .option('--node', 'for a node')
    .option('--under <relay>', 'id of its policy server (default: root; with --id of a member, its present one)')
    .option('--uses <n>', 'number of machines that may join with it', '1')
    .option('--expires <time>', 'lifetime of the token', '1h')
    .option('--id <id>', 'for this id alone; if it is a member, its old certificates are revoked when it joins')
    .option('--scope <scope>', 'for clients and callers: register:<key>, call:<key> or admin; several times', collect)
    .option('--append <file>', 'with --scope: add its line to this file (tokens.clients_file of a relay)')
    .option('--jwt', 'with --scope: sign it at the root, for all relays of the tree; no file is needed')
    .option('--certificate <name>', 'with --scope call:<key>: a certificate, in <name>.pem and <name>.key')
    .option('--ttl <time>', `its lifetime, a year at most (default: ${TTL}; of a certificate ${CERTIFICATE_TTL})`)
    .option('--sign-with <file>', 'with --jwt: sign it here, with this private key (JWK) of the root')
    .option('--key-id <id>', 'with --jwt: the key of the root that signs it (default: the newest)')
    .option(...JSON_OPTION)
    .addHelpText('after', example('treeline token create --node --under relay-1 --uses 20'))
    .action(create)
  addServerOptions(token.command('list').description('List all tokens, without their secrets'))
    .option(...JSON_OPTION)
    .addHelpText('after', example('treeline token list'))
    .action(list)
  addServerOptions(
    token
      .command('revoke')
      .description('Revoke a token or a certificate of a caller; machines that joined with a token stay')
  )
    .argument('<id>', 'id of a token, or all of it; or the SHA-256 of a certificate in hex')
    .addHelpText('after', example('treeline token revoke 63adfa61da6d'))
    .action(revoke)
  registerTokenKeys(token)
}

function collect(scope: string, before: readonly string[] = []): readonly string[] {
  return [...before, scope]
}

/** @throws {UsageError} for the first of the options that was given */
function refuseOthers(command: Command, names: readonly string[], why: string): void {
  const other = command.options.find(option => {
    const name = option.attributeName()
    return names.includes(name) && command.getOptionValueSource(name) === 'cli'
  })
  if (other !== undefined) throw new UsageError(`${other.long ?? other.flags} ${why}`)
}

async function create(options: CreateOptions, command: Command): Promise<void> {
  const { scope } = options
  if (scope !== undefined) {
    refuseOthers(command, OF_JOINS, 'belongs to tokens to join with, and not to --scope')
    if (options.certificate !== undefined) {
      refuseOthers(command, ['jwt', 'append', 'signWith', 'keyId'], 'is not for --certificate')
      return createCallerCertificate({
        ...options,
        scope,
        certificate: options.certificate,
        ttl: options.ttl ?? CERTIFICATE_TTL
      })
    }
    if (options.jwt !== true) {
      refuseOthers(command, OF_SIGNED, 'needs --jwt or --certificate')
      return createScopedToken({ ...options, scope })
    }
    refuseOthers(command, ['append'], 'is not for --jwt, which needs no file')
    return createSignedToken({ ...options, scope, ttl: options.ttl ?? TTL })
  }
  refuseOthers(command, ['append', 'jwt', 'certificate', ...OF_SIGNED], 'needs --scope')
  if ((options.relay === true) === (options.node === true)) {
    throw new UsageError('give either --relay or --node, or --scope for a client or a caller of services')
  }
  const lifetimeMs = readDuration('--expires', options.expires, 1_000)
  const uses = readCount('--uses', options.uses, { min: 1, max: MAX_USES })
  for (const id of [options.under, options.id]) if (id !== undefined) checkNodeId(id)
  const form = new URLSearchParams({
    kind: options.relay === true ? 'relay' : 'node',
    uses: String(uses),
    expires_in_ms: String(lifetimeMs),
    ...(options.under === undefined ? {} : { policy_server: options.under }),
    ...(options.id === undefined ? {} : { member: options.id })
  })
  await withClient(options, async client => {
    const answer = await client.json({
      method: 'POST',
      path: 'v1/tokens',
      headers: { 'content-type': FORM },
      body: form.toString()
    })
    const made = asObject(answer, 'a token')
    if (options.json === true) return printJson(made)
    const port = typeof made.port === 'number' && made.port !== HTTPS_PORT ? `:${made.port}` : ''
    const host = cell(made.hostname)
    const url = `https://${bracketed(host)}${port}`
    const id = options.id === undefined ? '' : ` --id ${options.id}${made.is_member === true ? ' --again' : ''}`
    // echo is part of the shell: the token is in no list of processes
    console.log(`echo ${cell(made.token)} | treeline join ${url} --token-file -${id}`)
    const until = showTime(made.expires_at)
    console.error(`for ${cell(made.uses)} ${cell(made.kind)}(s) under ${cell(made.policy_server)}, until ${until}
where other users cannot list processes, also: treeline join ${url} --token ${cell(made.token)}${id}`)
  })
}

async function list(options: ShowOptions): Promise<void> {
  await withClient(options, async client => {
    const { tokens } = asObject(await client.json({ method: 'GET', path: 'v1/tokens' }), 'a list of tokens')
    const all = Array.isArray(tokens) ? tokens.map(token => asObject(token, 'a token')) : []
    printList(all, COLUMNS, options.json)
  })
}

async function revoke(given: string, options: ServerOptions): Promise<void> {
  const signed = idInToken(given) ?? given
  if (isSignedTokenId(signed)) return revokeSigned(signed, options)
  const [id = ''] = given.split('.', 1) // a whole token is understood, and its secret shown nowhere
  if (!isTokenId(id)) {
    throw new UsageError(`invalid token id: ${JSON.stringify(id.slice(0, 80))}; \`treeline token list\` shows them`)
  }
  await withClient(options, async client => {
    await client.text({ method: 'DELETE', path: apiPath('v1', 'tokens', id) })
  })
}
