import { access, constants, stat } from 'node:fs/promises'
import { hostname, userInfo } from 'node:os'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { hostAddress, listenAddress } from '../../config/readers/address-readers.js'
import type { ExistingTree } from '../../membership/root/adopt-existing-tree.js'
import type { OpenRepository } from '../../membership/root/create-root.js'
import type { PublicAddress } from '../../membership/setup/config-templates.js'
import { HTTPS_PORT } from '../../network/host-and-port.js'
import { isOfNoHost } from '../../network/host-name.js'
import { ClientError } from '../../relay-client/client-error.js'
import { whyUnreadable } from '../../values/failures/file-failure.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { ROOT_ID } from '../../values/ids.js'
import { makeOwnFolder, refuseForeign, refuseObstructed } from '../checks/permissions/foreign-folder.js'
import { CommandError, UsageError } from '../command-error.js'
import { COMMAND_OPTION, commandHint, readCommand } from '../options/command-option.js'
import { example } from '../options/example.js'
import { ownProgram } from '../options/own-program.js'
import { readDuration } from '../options/time-option.js'
import { DATA_OPTION, readUser, serviceSteps, USER_OPTION } from '../processes/service-steps.js'

interface InitOptions {
  readonly dir: string
  readonly host?: readonly string[]
  readonly listen: string
  readonly lifetime: string
  readonly nodesList?: string
  readonly certs?: string
  readonly command: string
  readonly data?: string
  readonly user?: string
}

/** `treeline init`: the root of a new tree, in one folder. */
export function register(program: Command): void {
  program
    .command('init')
    .description('Create the root of a new tree: keys, CA, certificate, configuration, database')
    .option('--dir <dir>', 'folder for keys, certificates and configuration', '/etc/treeline')
    .option(
      '--host <name[:port]>',
      'public name or address of this machine; repeatable (default: its host name, port 443)',
      (text: string, before: readonly string[] = []) => [...before, text]
    )
    .option('--listen <host:port>', 'address for callers on this machine (plain HTTP)', '127.0.0.1:3030')
    .option('--lifetime <time>', 'lifetime of the first certificate, which renews itself', '90days')
    .option('--nodes-list <file>', 'take over the nodes of this nodeslist.json')
    .option('--certs <file>', 'their certificates (PEM), with --nodes-list')
    .option(...DATA_OPTION)
    .option(...COMMAND_OPTION)
    .option(...USER_OPTION)
    .addHelpText('after', example('treeline init --dir /etc/treeline --host root.example.com'))
    .action(init)
}

async function init(options: InitOptions): Promise<void> {
  const { formerRoot, createRoot } = await import('../../membership/root/create-root.js')
  const { dataFolders } = await import('../../membership/setup/data-folders.js')
  const { systemdUnit, unitName } = await import('../../membership/setup/systemd-unit.js')
  const folder = resolve(options.dir)
  const [first = readHost('--host', hostname()), ...others] = (options.host ?? []).map(text => readHost('--host', text))
  if (options.certs !== undefined && options.nodesList === undefined) throw new UsageError('--certs needs --nodes-list')
  if (listenAddress.parse(options.listen) === undefined) {
    throw new UsageError(`--listen should be host:port, not ${JSON.stringify(options.listen)}`)
  }
  const command = readCommand(options.command)
  const current = userInfo().username
  const user = readUser(options.user, 'serve', current)
  const data = dataFolders(folder, options.data === undefined ? undefined : resolve(options.data))
  const program = ownProgram()
  refuseObstructed([
    ['--dir', folder],
    ...[data.path, data.storage, data.sharedFolder].map(path => ['--data', path] as const)
  ])
  await refuseForeign([folder, data.path, data.storage], [user])
  const former = await formerRoot(folder)
  if (former !== undefined) throw new UsageError(former)
  const nowMs = Date.now()
  const lifetimeMs = readDuration('--lifetime', options.lifetime, 1_000)
  const takenOver = await readTakenOver(options, nowMs)
  try {
    await makeOwnFolder(folder, [user])
    await createRoot({
      folder,
      addresses: [first, ...others],
      listen: options.listen,
      lifetimeMs,
      takenOver,
      data,
      command,
      program,
      user,
      openRepository: await memberOpener(),
      nowMs
    })
    const service = { command: 'serve', id: ROOT_ID, folder, user, program } as const
    const unit = unitName(service)
    const text = systemdUnit({ ...service, data })
    const { uid } = await stat(folder)
    const taken = takenOver === undefined ? '' : `, with ${takenOver.members.length} members taken over`
    console.log(`root created in ${folder}${taken}; keep ${folder}/ca.key secret: it issues the certificates of this tree
start it:              treeline serve --config ${folder}
${serviceSteps({ ...service, unit, text, data: data.path }, current, uid)}
then, to add a relay:  treeline token create --relay --config ${folder}${await commandHint(command, 'relay', folder)}`)
  } catch (error) {
    if (error instanceof ClientError) throw error
    throw new CommandError(errorMessage(error), undefined, { cause: error })
  }
}

/** The tree in the files that are named. @throws {UsageError} when one cannot be read or used */
async function readTakenOver({ nodesList, certs }: InitOptions, nowMs: number): Promise<ExistingTree | undefined> {
  if (nodesList === undefined) return undefined
  const { readExistingTree } = await import('../../membership/root/adopt-existing-tree.js')
  const named = [['--nodes-list', nodesList] as const, ...(certs === undefined ? [] : [['--certs', certs] as const])]
  for (const [option, file] of named) {
    await access(file, constants.R_OK).catch((cause: unknown) => {
      throw new UsageError(whyUnreadable(option, file, cause), { cause })
    })
  }
  try {
    return await readExistingTree(nodesList, certs, nowMs)
  } catch (cause) {
    throw new UsageError(`--nodes-list: ${errorMessage(cause)}`, { cause })
  }
}

/** Loaded when a root is made, which is rare. */
async function memberOpener(): Promise<OpenRepository> {
  const { openStorage } = await import('../../storage/repositories/open-storage.js')
  return storagePath => {
    const { repositories, close } = openStorage(storagePath)
    return { repository: repositories.members, close }
  }
}

/** `name` or `name:port`. @throws {UsageError} */
export function readHost(option: string, text: string): PublicAddress {
  const address = hostAddress.parse(text)
  if (address === undefined || address.host === '') {
    throw new UsageError(
      `${option} should be a host name or address, and a port if it is not ${HTTPS_PORT}, not ${JSON.stringify(text)}`
    )
  }
  if (isOfNoHost(address.host)) {
    throw new UsageError(
      `${option} should be a name or address at which other machines reach this one, not ${JSON.stringify(text)}`
    )
  }
  return { hostname: address.host, port: address.port ?? HTTPS_PORT }
}
