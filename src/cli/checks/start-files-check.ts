import type { X509Certificate } from 'node:crypto'
import { resolve } from 'node:path'
import type { AgentConfig } from '../../config/agent/agent-config.js'
import type { Config } from '../../config/config.js'
import { privateFilesOfAgent, privateFilesOfRelay } from '../../config/private-files.js'
import type { ServiceConfig } from '../../config/services/service-config.js'
import { parseSigningKey } from '../../file-exchange/key-files.js'
import { readTextFile } from '../../file-system/files/text-file.js'
import { isReadOnly, obstacleTo } from '../../file-system/folders/make-folder.js'
import { ROOT } from '../../file-system/permissions/root.js'
import { checkBelongs, parsePrivateKey, readEveryCertificate } from '../../keys/certificates/certificate-pair.js'
import { MIN_TOKEN_LENGTH } from '../../keys/tokens/admin-token.js'
import { parseClientTokens } from '../../keys/tokens/client-token-rules.js'
import { signingPassphrase } from '../../process/passphrase.js'
import { checkOwnServices } from '../../services/own/check-own-services.js'
import { parseSealKeys } from '../../services/sealing/open-sealing.js'
import { withheldWarnings } from '../../shared-folder/withheld-files.js'
import { whyUnreadable } from '../../values/failures/file-failure.js'
import { errorMessage, forbiddenPath } from '../../values/failures/system-error.js'
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

/** The findings so far. */
interface Findings {
  readonly problems: string[]
  readonly notes: string[]
  /** Whether another user checks than the one that runs it: what that one may not read may be in order. */
  readonly isOther: boolean
}

interface NamedFile {
  readonly key: string
  readonly path: string
}

/** Files that a relay does not start without, and the command that runs need. */
export async function checkRelayStart(config: Config): Promise<StartCheck> {
  const { general, upstream, tokens, remoteRun } = config
  const { storage, sharedFiles, sharedFolder, serviceListeners } = config
  const storageFolder = { setting: 'storage.path', path: storage.path }
  const folders = [storageFolder, { setting: 'shared_files.path', path: sharedFiles.path }]
  const { directory } = config
  const user = findServiceUser({ command: 'serve', nodeId: general.nodeId, directory, storage: storageFolder })
  const found = findingsOf(user)
  const { problems, notes } = found
  const isValidating = general.peerAuthentication === 'cert_validation'
  await checkPair(
    found,
    named('general.https_certificate_file', general.httpsCertificateFile),
    named('general.https_key_file', general.httpsKeyFile)
  )
  for (const { certificateFile, keyFile } of serviceListeners) {
    await checkPair(
      found,
      named('service_listener.certificate_file', certificateFile),
      named('service_listener.key_file', keyFile)
    )
  }
  await checkCertificate(found, named('general.ca_path', isValidating ? general.caPath : undefined))
  await checkCertificate(found, named('output.upstream.server_certificate_file', upstream?.serverCertificateFile))
  await checkToken(found, named('tokens.admin_file', tokens.adminFile))
  await checkBy(found, named('tokens.clients_file', tokens.clientsFile), (_file, text) => void parseClientTokens(text))
  const sealKeys = named('services.seal_key_file', config.services.sealKeyFile)
  await checkBy(found, sealKeys, ({ path }, text) => void parseSealKeys(text, path))
  const { source, caFile, caKeyFile } = config.tree
  if (source === 'members') await checkPair(found, named('tree.ca_file', caFile), named('tree.ca_key_file', caKeyFile))
  const inTheWay = unwritable({ 'storage.path': storage.path, 'shared_files.path': sharedFiles.path })
  const kept = inTheWay.length > 0 ? notLookedAt(inTheWay) : await keptStateOfRelay(config, user.uid, found.isOther)
  problems.push(...kept.problems)
  const socket = socketFolders(general.socket)
  problems.push(...(await foreignWaysOf(user.uid, [...folders, ...socket])))
  problems.push(...(await foreignWaysOf(user.uid, [{ setting: 'shared_folder.path', path: sharedFolder.path }])))
  problems.push(...(found.isOther ? [] : await socketProblems(general.socket, user.uid)), ...listenProblems(config))
  const command = remoteRun.enabled ? named('remote_run.command', remoteRun.command) : undefined
  const warnings = [
    ...obstacles({ 'shared_folder.path': sharedFolder.path }), // never made: what is not there is not found
    ...withheldWarnings(config),
    ...(await commandWarnings(command, 'remote runs fail')),
    ...(await relayCertificateWarnings(config)),
    ...(await relayKeyWarnings(config)),
    ...(await serviceWarnings(found, config.ownServices)),
    ...(await exposureWarnings(privateFilesOfRelay(config), user.uid)),
    ...user.warnings,
    ...(await openFolderWarnings([...folders, ...socket, ...configurationFolder(directory, user.uid)], user.uid))
  ]
  return {
    problems,
    warnings,
    notes: [...notes, ...kept.notes, ...readNotes(user, 'serve', directory)],
    checkedFor: user.known
  }
}

/** The same for an agent. */
export async function checkAgentStart(config: AgentConfig): Promise<StartCheck> {
  const { upstream } = config
  const tlsKey = named('key_file', config.keyFile)
  const { directory, nodeId, storage } = config
  const storageFolder = { setting: 'storage.path', path: storage.path }
  const user = findServiceUser({ command: 'agent', nodeId, directory, storage: storageFolder })
  const found = findingsOf(user)
  const { problems, notes } = found
  const inTheWay = unwritable({ 'storage.path': storage.path })
  const kept = inTheWay.length > 0 ? notLookedAt(inTheWay) : await keptStateOfAgent(config, found.isOther)
  problems.push(...kept.problems)
  problems.push(...(await foreignWaysOf(user.uid, [storageFolder])))
  await checkPair(found, named('certificate_file', config.certificateFile), tlsKey)
  if (config.signingKeyFile !== config.keyFile) {
    await checkBy(found, named('signing_key_file', config.signingKeyFile), ({ path }, pem) => {
      parseSigningKey({ pem, path }, signingPassphrase())
    })
  }
  const paths = await checkAgentPaths(config, user.uid === process.geteuid?.())
  problems.push(...paths.problems)
  await checkCertificate(found, named('upstream.server_certificate_file', upstream.serverCertificateFile))
  await checkCertificate(found, named('upstream.ca_file', upstream.caFile))
  const commands = config.receive
    .filter(({ command }) => command?.[0].includes('/')) // others are found in PATH when they are run
    .map(({ command }) => named('agent.receive: command', command?.[0]))
  const warnings = [
    ...(await commandWarnings(named('agent.command', config.agent.command), 'runs fail')),
    ...(await Promise.all(commands.map(command => commandWarnings(command, 'it fails')))).flat(),
    ...(await agentCertificateWarnings(config)),
    ...(await serviceWarnings(found, config.ownServices)),
    ...(await exposureWarnings(privateFilesOfAgent(config), user.uid)),
    ...paths.warnings,
    ...user.warnings,
    ...(await openFolderWarnings([storageFolder, ...configurationFolder(directory, user.uid)], user.uid))
  ]
  return {
    problems,
    warnings,
    notes: [...notes, ...kept.notes, ...readNotes(user, 'agent', directory)],
    checkedFor: user.known
  }
}

/** @param user whom the check is for; root may read and look at everything of any other */
function findingsOf({ uid }: CheckedUser): Findings {
  const euid = process.geteuid?.()
  return { problems: [], notes: [], isOther: euid !== uid && euid !== ROOT }
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
async function read(found: Findings, file: NamedFile | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined
  try {
    return await readTextFile(file.path)
  } catch (error) {
    const isOthers = found.isOther && forbiddenPath(error) !== undefined
    if (isOthers) found.notes.push(`${file.key} ${file.path} was not looked at: this user may not read it`)
    else found.problems.push(whyUnreadable(file.key, file.path, error))
    return undefined
  }
}

async function checkCertificate(found: Findings, file: NamedFile | undefined): Promise<X509Certificate | undefined> {
  const text = await read(found, file)
  return text === undefined || file === undefined
    ? undefined
    : tryTo(found, () => readEveryCertificate(text, nameOf(file))[0])
}

/** @returns what `look` returns; undefined, with a problem, when it throws what is wrong */
function tryTo<T>(found: Findings, look: () => T): T | undefined {
  try {
    return look()
  } catch (error) {
    found.problems.push(errorMessage(error))
    return undefined
  }
}

function nameOf({ key, path }: NamedFile): string {
  return `${key} ${path}`
}

/** @param check throws what is wrong with the text of the file */
async function checkBy(
  found: Findings,
  file: NamedFile | undefined,
  check: (file: NamedFile, text: string) => void | Promise<void>
): Promise<void> {
  const text = await read(found, file)
  if (text === undefined || file === undefined) return
  try {
    await check(file, text)
  } catch (error) {
    const reason = errorMessage(error)
    found.problems.push(reason.startsWith(file.path) ? `${file.key} ${reason}` : `${file.key} ${file.path}: ${reason}`)
  }
}

async function checkPair(found: Findings, certificate: NamedFile | undefined, key: NamedFile | undefined) {
  const x509 = await checkCertificate(found, certificate)
  const text = await read(found, key)
  if (text === undefined || key === undefined) return
  const privateKey = tryTo(found, () => parsePrivateKey(text, nameOf(key)))
  if (x509 === undefined || privateKey === undefined || certificate === undefined) return
  tryTo(found, () => checkBelongs(x509, privateKey, { cert: nameOf(certificate), key: nameOf(key) }))
}

async function checkToken(found: Findings, file: NamedFile | undefined): Promise<void> {
  const text = await read(found, file)
  if (text === undefined || file === undefined || text.trim().length >= MIN_TOKEN_LENGTH) return
  found.problems.push(`${file.key} ${file.path}: a token has at least ${MIN_TOKEN_LENGTH} characters`)
}

/** Warnings of services that would refuse requests. What this user may not read may be in order. */
async function serviceWarnings(found: Findings, services: readonly ServiceConfig[]): Promise<readonly string[]> {
  const { problems, notes } = await checkOwnServices(services)
  found.notes.push(...notes)
  if (!found.isOther) return problems.map(problem => `${problem}; its requests are refused until that is mended`)
  found.notes.push(...problems)
  return []
}

async function commandWarnings(command: NamedFile | undefined, consequence: string): Promise<string[]> {
  if (command === undefined) return []
  const why = await whyNotRunnable(command.path)
  return why === undefined ? [] : [`${command.key} ${command.path} ${why}: ${consequence} until that is mended`]
}
