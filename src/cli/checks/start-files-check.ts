import type { X509Certificate } from 'node:crypto'
import { resolve } from 'node:path'
import type { AgentConfig } from '../../config/agent/agent-config.js'
import type { Config } from '../../config/config.js'
import { privateFilesOfAgent, privateFilesOfRelay } from '../../config/private-files.js'
import { parseSigningKey } from '../../file-exchange/key-files.js'
import { readTextFile } from '../../file-system/files/text-file.js'
import { isReadOnly, obstacleTo } from '../../file-system/folders/make-folder.js'
import { checkBelongs, parsePrivateKey, readEveryCertificate } from '../../keys/certificates/certificate-pair.js'
import { MIN_TOKEN_LENGTH } from '../../keys/tokens/admin-token.js'
import { parseClientTokens } from '../../keys/tokens/client-token-rules.js'
import { signingPassphrase } from '../../process/passphrase.js'
import { withheldWarnings } from '../../shared-folder/withheld-files.js'
import { whyUnreadable } from '../../values/failures/file-failure.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { ownProgram } from '../options/own-program.js'
import { checkAgentPaths } from './agent-paths.js'
import { agentCertificateWarnings, relayCertificateWarnings } from './certificate-warnings.js'
import { type KeptState, keptStateOfAgent, keptStateOfRelay } from './kept/kept-state.js'
import { listenProblems, socketFolders, socketProblems } from './listening-check.js'
import { exposureWarnings } from './permissions/exposed-files.js'
import { configurationFolder, openFolderWarnings } from './permissions/open-folders.js'
import { type CheckedUser, findServiceUser } from './permissions/service-user.js'
import { foreignWaysOf } from './permissions/way-to-folder.js'
import { whyNotRunnable } from './runnable-command.js'
import { relayKeyWarnings } from './signing-key-warnings.js'

/**
 * The result of the checks before a start: problems end it, warnings do not. Each begins with the setting that it is
 * about.
 */
export interface StartCheck {
  readonly problems: readonly string[]
  readonly warnings: readonly string[]
  /** Names what was not looked at, and says why. */
  readonly notes: readonly string[]
  /** The user that it holds for, where it is not the one that checks. */
  readonly checkedFor?: string | undefined
}

interface NamedFile {
  readonly key: string
  readonly path: string
}

/** Files that a relay does not start without, and the command that runs need. */
export async function checkRelayStart(config: Config): Promise<StartCheck> {
  const { general, upstream, tokens, remoteRun } = config
  const problems: string[] = []
  const isValidating = general.peerAuthentication === 'cert_validation'
  await checkPair(
    problems,
    named('general.https_certificate_file', general.httpsCertificateFile),
    named('general.https_key_file', general.httpsKeyFile)
  )
  await checkCertificate(problems, named('general.ca_path', isValidating ? general.caPath : undefined))
  await checkCertificate(problems, named('output.upstream.server_certificate_file', upstream?.serverCertificateFile))
  await checkToken(problems, named('tokens.admin_file', tokens.adminFile))
  await checkBy(
    problems,
    named('tokens.clients_file', tokens.clientsFile),
    (_file, text) => void parseClientTokens(text)
  )
  const { source, caFile, caKeyFile } = config.tree
  if (source === 'members')
    await checkPair(problems, named('tree.ca_file', caFile), named('tree.ca_key_file', caKeyFile))
  const { storage, sharedFiles, sharedFolder } = config
  const storageFolder = { setting: 'storage.path', path: storage.path }
  const folders = [storageFolder, { setting: 'shared_files.path', path: sharedFiles.path }]
  const { directory } = config
  const user = findServiceUser({ command: 'serve', nodeId: general.nodeId, directory, storage: storageFolder })
  const inTheWay = unwritable({ 'storage.path': storage.path, 'shared_files.path': sharedFiles.path })
  const kept = inTheWay.length > 0 ? notLookedAt(inTheWay) : await keptStateOfRelay(config, user.uid)
  problems.push(...kept.problems)
  const socket = socketFolders(general.socket)
  problems.push(...(await foreignWaysOf(user.uid, [...folders, ...socket])))
  problems.push(...(await foreignWaysOf(user.uid, [{ setting: 'shared_folder.path', path: sharedFolder.path }])))
  problems.push(...(await socketProblems(general.socket, user.uid)), ...listenProblems(general))
  const command = remoteRun.enabled ? named('remote_run.command', remoteRun.command) : undefined
  const warnings = [
    ...obstacles({ 'shared_folder.path': sharedFolder.path }), // never made: what is not there is not found
    ...withheldWarnings(config),
    ...(await commandWarnings(command, 'remote runs fail')),
    ...(await relayCertificateWarnings(config)),
    ...(await relayKeyWarnings(config)),
    ...(await exposureWarnings(privateFilesOfRelay(config), user.uid)),
    ...user.warnings,
    ...(await openFolderWarnings([...folders, ...socket, ...configurationFolder(directory, user.uid)], user.uid))
  ]
  return { problems, warnings, notes: [...kept.notes, ...readNotes(user, 'serve', directory)], checkedFor: user.known }
}

/** The same for an agent. */
export async function checkAgentStart(config: AgentConfig): Promise<StartCheck> {
  const problems: string[] = []
  const { upstream } = config
  const tlsKey = named('key_file', config.keyFile)
  const { directory, nodeId, storage } = config
  const storageFolder = { setting: 'storage.path', path: storage.path }
  const user = findServiceUser({ command: 'agent', nodeId, directory, storage: storageFolder })
  const inTheWay = unwritable({ 'storage.path': storage.path })
  const kept = inTheWay.length > 0 ? notLookedAt(inTheWay) : await keptStateOfAgent(config)
  problems.push(...kept.problems)
  problems.push(...(await foreignWaysOf(user.uid, [storageFolder])))
  await checkPair(problems, named('certificate_file', config.certificateFile), tlsKey)
  if (config.signingKeyFile !== config.keyFile) {
    await checkBy(problems, named('signing_key_file', config.signingKeyFile), ({ path }, pem) => {
      parseSigningKey({ pem, path }, signingPassphrase())
    })
  }
  const paths = await checkAgentPaths(config, user.uid === process.geteuid?.())
  problems.push(...paths.problems)
  await checkCertificate(problems, named('upstream.server_certificate_file', upstream.serverCertificateFile))
  await checkCertificate(problems, named('upstream.ca_file', upstream.caFile))
  const commands = config.receive
    .filter(({ command }) => command?.[0].includes('/')) // others are found in PATH when they are run
    .map(({ command }) => named('agent.receive: command', command?.[0]))
  const warnings = [
    ...(await commandWarnings(named('agent.command', config.agent.command), 'runs fail')),
    ...(await Promise.all(commands.map(command => commandWarnings(command, 'it fails')))).flat(),
    ...(await agentCertificateWarnings(config)),
    ...(await exposureWarnings(privateFilesOfAgent(config), user.uid)),
    ...paths.warnings,
    ...user.warnings,
    ...(await openFolderWarnings([storageFolder, ...configurationFolder(directory, user.uid)], user.uid))
  ]
  return { problems, warnings, notes: [...kept.notes, ...readNotes(user, 'agent', directory)], checkedFor: user.known }
}

/** Says what a check of root's cannot tell: root may read all files. */
function readNotes({ known, runAs }: CheckedUser, command: 'serve' | 'agent', directory: string): string[] {
  if (known === undefined || runAs === undefined) return []
  const words = [...ownProgram(), command, '--config', resolve(directory), '--test']
  const line = [
    runAs,
    ...words.map(word => (/^[\w./@:+=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
  ].join(' ')
  return [`files were read as root; whether they can be read by ${known} shows: ${line}`]
}

/** Obstacles to the folders that may not exist yet. @param folders by the setting that names them */
function obstacles(folders: Readonly<Record<string, string>>): string[] {
  return Object.entries(folders).flatMap(([setting, path]) => {
    const obstacle = obstacleTo(path)
    return obstacle === undefined ? [] : [`${setting} ${path}: ${obstacle}`]
  })
}

/** The problems of folders that the program writes to, as it does when it starts. @param folders as for {@link obstacles} */
function unwritable(folders: Readonly<Record<string, string>>): string[] {
  const readOnly = Object.entries(folders)
    .filter(([, path]) => isReadOnly(path))
    .map(([setting, path]) => `${setting} ${path} is on a file system that is read-only: mount it for writing`)
  return [...obstacles(folders), ...readOnly]
}

/** In folders that cannot be used there is nothing to look at. */
function notLookedAt(problems: readonly string[]): KeptState {
  return { problems, notes: [] }
}

function named(key: string, path: string | undefined): NamedFile | undefined {
  return path === undefined ? undefined : { key, path }
}

/** @returns the text; undefined, with a problem, when it cannot be read */
async function read(problems: string[], file: NamedFile | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined
  try {
    return await readTextFile(file.path)
  } catch (error) {
    problems.push(whyUnreadable(file.key, file.path, error))
    return undefined
  }
}

async function checkCertificate(problems: string[], file: NamedFile | undefined): Promise<X509Certificate | undefined> {
  const text = await read(problems, file)
  return text === undefined || file === undefined
    ? undefined
    : tryTo(problems, () => readEveryCertificate(text, nameOf(file))[0])
}

/** @returns what `look` returns; undefined, with a problem, when it throws what is wrong */
function tryTo<T>(problems: string[], look: () => T): T | undefined {
  try {
    return look()
  } catch (error) {
    problems.push(errorMessage(error))
    return undefined
  }
}

function nameOf({ key, path }: NamedFile): string {
  return `${key} ${path}`
}

/** @param check throws what is wrong with the text of the file */
async function checkBy(
  problems: string[],
  file: NamedFile | undefined,
  check: (file: NamedFile, text: string) => void | Promise<void>
): Promise<void> {
  const text = await read(problems, file)
  if (text === undefined || file === undefined) return
  try {
    await check(file, text)
  } catch (error) {
    const reason = errorMessage(error)
    problems.push(reason.startsWith(file.path) ? `${file.key} ${reason}` : `${file.key} ${file.path}: ${reason}`)
  }
}

async function checkPair(problems: string[], certificate: NamedFile | undefined, key: NamedFile | undefined) {
  const x509 = await checkCertificate(problems, certificate)
  const text = await read(problems, key)
  if (text === undefined || key === undefined) return
  const privateKey = tryTo(problems, () => parsePrivateKey(text, nameOf(key)))
  if (x509 === undefined || privateKey === undefined || certificate === undefined) return
  tryTo(problems, () => checkBelongs(x509, privateKey, { cert: nameOf(certificate), key: nameOf(key) }))
}

async function checkToken(problems: string[], file: NamedFile | undefined): Promise<void> {
  const text = await read(problems, file)
  if (text === undefined || file === undefined || text.trim().length >= MIN_TOKEN_LENGTH) return
  problems.push(`${file.key} ${file.path}: a token has at least ${MIN_TOKEN_LENGTH} characters`)
}

async function commandWarnings(command: NamedFile | undefined, consequence: string): Promise<string[]> {
  if (command === undefined) return []
  const why = await whyNotRunnable(command.path)
  return why === undefined ? [] : [`${command.key} ${command.path} ${why}: ${consequence} until that is mended`]
}
