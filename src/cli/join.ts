import { spawn } from 'node:child_process'
import { createHash, sign } from 'node:crypto'
import { hostname as machineName, userInfo } from 'node:os'
import { join as joinPath, resolve } from 'node:path'
import type { Command } from 'commander'
import { listenAddress } from '../config/address-readers.js'
import type { UpstreamText } from '../membership/texts.js'
import type { JoinAnswer } from '../membership/types.js'
import { checkNodeId } from '../values/ids.js'
import { type JoinToken, parseJoinToken } from '../values/join-token.js'
import { COMMAND_OPTION, commandHint, readCommand } from './agent-command.js'
import { CommandError, EXIT, errorMessage, UsageError } from './command-error.js'
import { readHost } from './init.js'
import { readNamedFile } from './named-file.js'
import { ownProgram } from './own-program.js'

interface JoinOptions {
  readonly token?: string
  readonly tokenFile?: string
  readonly dir: string
  readonly id?: string
  readonly host?: string
  readonly listen: string
  readonly command: string
  readonly start: boolean
}

/** `treeline join <url> --token …`. */
export function register(program: Command): void {
  program
    .command('join')
    .description('Join a tree, as the relay or node that the token is for')
    .argument('<url>', 'https URL of the policy server')
    .option('--token <token>', 'as `treeline token create` printed it')
    .option('--token-file <file>', 'a file with it: other users of this machine see command lines')
    .option('--dir <dir>', 'the folder for keys, certificates and configuration', '/etc/treeline')
    .option('--id <id>', 'the id to have in the tree (default: the host name)')
    .option('--host <name[:port]>', 'what others reach this machine by (default: its host name, port 443)')
    .option('--listen <host:port>', 'of a relay: where callers on this machine are served', '127.0.0.1:3030')
    .option(...COMMAND_OPTION)
    .option('--no-start', 'only join, and print what starts it')
    .action(joinTree)
}

async function joinTree(urlText: string, options: JoinOptions): Promise<void> {
  const url = readUrl(urlText)
  const token = await readToken(options)
  const folder = resolve(options.dir)
  const id = options.id ?? machineName()
  checkNodeId(id)
  const address = readHost('--host', options.host ?? machineName())
  if (listenAddress.parse(options.listen) === undefined) {
    throw new UsageError(`--listen should be host:port, not ${JSON.stringify(options.listen)}`)
  }
  const command = await joinFrom({
    url,
    token,
    folder,
    id,
    address,
    listen: options.listen,
    agentCommand: readCommand(options.command),
    start: options.start
  }).catch((error: unknown) => {
    if (error instanceof CommandError) throw error
    throw new CommandError(errorMessage(error), undefined, { cause: error })
  })
  if (options.start) process.exitCode = await stayWith([...ownProgram(), command, '--config', folder])
}

interface Joining {
  readonly start: boolean
  readonly url: URL
  readonly token: JoinToken
  readonly folder: string
  readonly id: string
  readonly address: { readonly hostname: string; readonly port: number }
  readonly listen: string
  readonly agentCommand: string
}

/** @returns the command that starts what has joined */
async function joinFrom(joining: Joining): Promise<'serve' | 'agent'> {
  const { url, token, folder, id, address, listen, agentCommand, start } = joining
  const { readIfThere } = await import('../membership/files.js')
  const { fetchCa, join } = await import('../membership/join-client.js')
  const { makeRequest } = await import('../membership/certificate-request.js')
  const { openKeys, publicKeyOf } = await import('../membership/folder.js')
  const { proxyFor } = await import('../links/proxy.js')
  const { formatTokenProof } = await import('../values/join-token.js')
  for (const name of ['main.conf', 'agent.conf']) {
    if ((await readIfThere(joinPath(folder, name))) === undefined) continue
    throw new UsageError(`${joinPath(folder, name)} is there already: choose another --dir, or move it away`)
  }
  const keys = await openKeys(folder)
  const entrance = { url, agent: await proxyFor(url.href) }
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
  const above = policyServerOf(answer, ca.relay, url)
  const isRelay = answer.kind === 'relay'
  const command = isRelay ? 'serve' : 'agent'
  await writeFolder(answer, { folder, listen, port: address.port, above, command, agentCommand })
  const hash = createHash('sha256').update(publicKeyOf(keys.signing)).digest('base64')
  console.log(`${id} has joined as a ${answer.kind} under ${answer.policyServer.id}; its key hash is sha256//${hash}
${start ? 'it starts now; later:' : 'start it:            '}  treeline ${command} --config ${folder}
or, with systemd:      systemctl enable --now ${folder}/treeline.service${await commandHint(agentCommand, isRelay ? `remote_run.command in ${folder}/main.conf` : `agent.command in ${folder}/agent.conf`)}`)
  return command
}

interface Written {
  readonly folder: string
  readonly listen: string
  readonly port: number
  readonly above: UpstreamText
  readonly command: 'serve' | 'agent'
  readonly agentCommand: string
}

/** The configuration comes last: a folder that has one is complete. */
async function writeFolder(answer: JoinAnswer, written: Written): Promise<void> {
  const { folder, listen, port, above, command, agentCommand } = written
  const { FILES, writeFiles } = await import('../membership/folder.js')
  const { agentConf, LOGGING_CONF, mainConf, systemdUnit } = await import('../membership/texts.js')
  const { id, ca, certificate, policyServer } = answer
  await writeFiles(folder, {
    [FILES.ca]: ca,
    [FILES.certificate]: certificate,
    [FILES.policyServer]: policyServer.certificates,
    [FILES.unit]: systemdUnit({ command, program: ownProgram(), folder, user: userInfo().username }),
    'logging.conf': LOGGING_CONF
  })
  await writeFiles(
    folder,
    command === 'serve'
      ? { 'main.conf': mainConf({ id, listen, port, upstream: above, command: agentCommand }) }
      : { 'agent.conf': agentConf({ id, upstream: above, command: agentCommand }) }
  )
}

/** The address in the URL is known to lead there, if that is who answered. */
function policyServerOf({ policyServer }: JoinAnswer, asked: string, url: URL): UpstreamText {
  const { id: nodeId } = policyServer
  if (nodeId === asked) {
    const hostname = url.hostname.replace(/^\[|\]$/g, '')
    return { nodeId, hostname, port: url.port === '' ? 443 : Number(url.port) }
  }
  return { nodeId, hostname: policyServer.hostname, port: policyServer.port ?? 443 }
}

/** Runs it in the foreground, with the signals that come here. @returns its exit code */
function stayWith([program = '', ...args]: readonly string[]): Promise<number> {
  const child = spawn(program, args, { stdio: 'inherit' })
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const
  const forward = (signal: NodeJS.Signals) => child.kill(signal)
  for (const signal of signals) process.on(signal, forward)
  return new Promise((settle, reject) => {
    child.on('error', reject)
    child.on('exit', code => {
      for (const signal of signals) process.off(signal, forward)
      settle(code ?? EXIT.failure)
    })
  })
}

function readUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'https:' && url.username === '' && url.password === '') return url
  throw new UsageError(`the policy server's URL should be https://host[:port], not ${JSON.stringify(text)}`)
}

async function readToken({ token, tokenFile }: JoinOptions): Promise<JoinToken> {
  if ((token === undefined) === (tokenFile === undefined)) {
    throw new UsageError('one of --token and --token-file is needed')
  }
  const text = token ?? (await readNamedFile('--token-file', tokenFile ?? ''))
  const parsed = parseJoinToken(text.trim())
  if (parsed === undefined) {
    throw new UsageError('the token is not whole: it is <id>.<secret>.<hash>, as `treeline token create` printed it')
  }
  return parsed
}
