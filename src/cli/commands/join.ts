import { sign } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { hostname as machineName, userInfo } from 'node:os'
import { join as joinPath, resolve } from 'node:path'
import type { Command } from 'commander'
import { listenAddress } from '../../config/readers/address-readers.js'
import { formatKeyHash } from '../../keys/signatures/key-hash.js'
import { type JoinToken, parseJoinToken } from '../../keys/tokens/join-token.js'
import type { Joined } from '../../membership/member/joined-folder.js'
import type { JoinAnswer } from '../../membership/member-types.js'
import type { PublicAddress, UpstreamText } from '../../membership/setup/config-templates.js'
import { HTTPS_PORT, unbracketed } from '../../network/host-and-port.js'
import { hideArgument } from '../../process/hide-argument.js'
import { ClientError } from '../../relay-client/client-error.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { checkNodeId } from '../../values/ids.js'
import { makeOwnFolder, refuseForeign, refuseObstructed } from '../checks/permissions/foreign-folder.js'
import { CommandError, UsageError } from '../command-error.js'
import { COMMAND_OPTION, commandHint, readCommand } from '../options/command-option.js'
import { example } from '../options/example.js'
import { ownProgram } from '../options/own-program.js'
import { readSecretFile, readSecretInput } from '../options/secret-file.js'
import { runInForeground } from '../processes/foreground.js'
import { DATA_OPTION, readUser, serviceSteps, USER_OPTION } from '../processes/service-steps.js'
import { readHost } from './init.js'

interface JoinOptions {
  readonly token?: string
  readonly tokenFile?: string
  readonly dir: string
  readonly data?: string
  readonly id?: string
  readonly host?: string
  readonly listen: string
  readonly command: string
  readonly user?: string
  readonly again?: boolean
  readonly start: boolean
}

/** `treeline join <url> --token-file …`. */
export function register(program: Command): void {
  program
    .command('join')
    .description('Join a tree, and start the relay or agent; the token says which')
    .argument('<url>', 'https URL of the policy server')
    .option('--token-file <file>', 'file with the token of `treeline token create`; - reads standard input')
    .option('--token <token>', 'the token itself: other users of this machine see it for a moment')
    .option('--dir <dir>', 'folder for keys, certificates and configuration', '/etc/treeline')
    .option(...DATA_OPTION)
    .option('--id <id>', 'id in the tree (default: the host name; with --again the id in --dir)')
    .option('--host <name[:port]>', 'public name or address of this machine (default: its host name, port 443)')
    .option('--listen <host:port>', 'of a relay: address for callers on this machine', '127.0.0.1:3030')
    .option(...COMMAND_OPTION)
    .option(...USER_OPTION)
    .option('--again', 'join again, and use the keys and the configuration in --dir')
    .option('--no-start', 'join alone, and print the command that starts it')
    .addHelpText(
      'after',
      example(
        'echo <token> | treeline join https://root.example.com --token-file - --id relay-1 --host relay.example.com'
      )
    )
    .action(joinTree)
}

/** The machine that joins, and the content of its folder. */
interface Who {
  readonly id: string
  readonly address: PublicAddress
  readonly former: Joined['conf'] | undefined
}

async function joinTree(urlText: string, options: JoinOptions): Promise<void> {
  hideArgument(options.token)
  const url = readUrl(urlText)
  const token = await readToken(options)
  const folder = resolve(options.dir)
  readCommand(options.command)
  if (listenAddress.parse(options.listen) === undefined) {
    throw new UsageError(`--listen should be host:port, not ${JSON.stringify(options.listen)}`)
  }
  const current = userInfo().username
  if (options.user !== undefined) readUser(options.user, 'agent', current)
  await refuseForeignFolders(folder, options, current)
  const who = await readWho(folder, options)
  try {
    await makeOwnFolder(folder, usersOf(options.user, current))
    const joined = await joinFrom(url, token, folder, who)
    const command = await installMember(joined, who, folder, options)
    if (who.former === undefined && options.start) {
      process.exitCode = await runInForeground([...ownProgram(), command, '--config', folder])
    }
  } catch (error) {
    if (error instanceof ClientError) throw error
    throw new CommandError(errorMessage(error), undefined, { cause: error })
  }
}

/** @throws {UsageError} for folders of users who will not be what joins: the answer says whether that is a relay or a node */
async function refuseForeignFolders(folder: string, { data, user }: JoinOptions, current: string): Promise<void> {
  const { dataFolders } = await import('../../membership/setup/data-folders.js')
  const { path, storage } = dataFolders(folder, data === undefined ? undefined : resolve(data))
  refuseObstructed([['--dir', folder], ...[path, storage].map(each => ['--data', each] as const)])
  await refuseForeign([folder, path, storage], usersOf(user, current))
}

/** The users as whom it may be run, whichever it joins as. */
function usersOf(user: string | undefined, current: string): string[] {
  return (['serve', 'agent'] as const).map(command => readUser(user, command, current))
}

/** @throws {UsageError} when the folder has a configuration, and is not to join again with it */
async function readWho(folder: string, options: JoinOptions): Promise<Who> {
  const { configurationIn, readJoined } = await import('../../membership/member/joined-folder.js')
  const former = await configurationIn(folder)
  if (former !== undefined && options.again !== true) {
    throw new UsageError(
      `${joinPath(folder, former)} is there already: add --again to join again with it, choose another --dir, or move it away`
    )
  }
  const joined =
    former === undefined
      ? undefined
      : await readJoined(folder, former).catch((cause: unknown) => {
          throw new UsageError(errorMessage(cause), { cause })
        })
  const id = options.id ?? joined?.id ?? machineName()
  checkNodeId(id)
  if (joined !== undefined && joined.id !== id) {
    throw new UsageError(
      `--id is ${id}, and ${joinPath(folder, joined.conf)} that of ${joined.id}: leave --id out, or choose another --dir`
    )
  }
  const named = options.host === undefined ? undefined : readHost('--host', options.host)
  const address = {
    hostname: named?.hostname ?? joined?.hostname ?? readHost('--host', machineName()).hostname,
    port: joined?.port ?? named?.port ?? HTTPS_PORT
  }
  return { id, address, former }
}

interface JoinedNow {
  readonly answer: JoinAnswer
  readonly above: UpstreamText
  readonly keyHash: string
}

async function joinFrom(url: URL, token: JoinToken, folder: string, { id, address }: Who): Promise<JoinedNow> {
  const { fetchCa, join } = await import('../../membership/member/join-client.js')
  const { makeRequest } = await import('../../membership/certificate-request.js')
  const { openKeys, publicKeyOf } = await import('../../membership/setup/member-folder.js')
  const { proxyFor } = await import('../../links/lower/proxy.js')
  const { formatTokenProof } = await import('../../keys/tokens/join-token.js')
  const keys = await openKeys(folder)
  const entrance = { url, agent: proxyFor(url.href) }
  const ca = await fetchCa(entrance, token)
  const request = await makeRequest(id, keys.tls)
  const answer = await join(entrance, ca, {
    token: formatTokenProof(token),
    id,
    ...address,
    request,
    signingKey: publicKeyOf(keys.signing),
    signingProof: sign(null, request, keys.signing)
  })
  return { answer, above: policyServerOf(answer, ca.relay, url), keyHash: formatKeyHash(publicKeyOf(keys.signing)) }
}

/** Writes what was given into the folder, and says what to do next. @returns the command that starts it */
async function installMember(
  joined: JoinedNow,
  who: Who,
  folder: string,
  options: JoinOptions
): Promise<'serve' | 'agent'> {
  const { commandOf, writeJoined } = await import('../../membership/member/joined-folder.js')
  const { dataFolders } = await import('../../membership/setup/data-folders.js')
  const { systemdUnit, unitName } = await import('../../membership/setup/systemd-unit.js')
  const { answer, above, keyHash } = joined
  const { id, kind } = answer
  const { former, address } = who
  const command = commandOf(kind)
  const current = userInfo().username
  const user = readUser(options.user, command, current)
  const data = dataFolders(folder, options.data === undefined ? undefined : resolve(options.data))
  const program = ownProgram()
  const agentCommand = readCommand(options.command)
  const { listen } = options
  await writeJoined(answer, { folder, listen, port: address.port, above, data, agentCommand, program, user, former })
  const unit = unitName({ command, id })
  const started = `treeline ${command} --config ${folder}`
  console.log(`${id} has joined as a ${kind} under ${answer.policyServer.id}; its key hash is ${keyHash}`)
  if (former !== undefined) {
    console.log(`${joinPath(folder, former)} stays as it is, but for its policy server
restart what runs there: systemctl restart ${unit}
or start it:             ${started}`)
    return command
  }
  const service = { command, id, folder, user, program } as const
  const text = systemdUnit({ ...service, data })
  const { uid } = await stat(folder)
  console.log(`${options.start ? 'it starts now; later:' : 'start it:            '}  ${started}
${serviceSteps({ ...service, unit, text, data: data.path }, current, uid)}${await commandHint(agentCommand, kind, folder)}`)
  return command
}

/** The address in the URL is known to lead there, if that is who answered. */
function policyServerOf({ policyServer }: JoinAnswer, asked: string, url: URL): UpstreamText {
  const { id: nodeId } = policyServer
  if (nodeId === asked) {
    const hostname = unbracketed(url.hostname)
    return { nodeId, hostname, port: url.port === '' ? 443 : Number(url.port) }
  }
  return { nodeId, hostname: policyServer.hostname, port: policyServer.port ?? 443 }
}

function readUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'https:' && url.href === `${url.origin}/`) return url
  throw new UsageError(`the policy server's URL should be https://host[:port], not ${JSON.stringify(text)}`)
}

async function readToken({ token, tokenFile }: JoinOptions): Promise<JoinToken> {
  if ((token === undefined) === (tokenFile === undefined)) {
    throw new UsageError('give either --token-file or --token')
  }
  const text =
    token ?? (tokenFile === '-' ? await readSecretInput() : await readSecretFile('--token-file', tokenFile ?? ''))
  const parsed = parseJoinToken(text.trim())
  if (parsed === undefined) {
    throw new UsageError('the token is not whole: it is <id>.<secret>.<hash>, as `treeline token create` printed it')
  }
  return parsed
}
