import { X509Certificate } from 'node:crypto'
import { constants } from 'node:os'
import { type AtomicWrite, replaceWithUndo } from '../../../file-exchange/atomic-write.js'
import { takeTurn } from '../../../file-exchange/folder-turn.js'
import { FilePlace } from '../../../file-exchange/places/file-place.js'
import { readNamedFile } from '../../../file-exchange/places/named-file.js'
import { BEGIN_CERTIFICATE, certificateBlocks } from '../../../keys/certificates/pem.js'
import { canonicalHost, HOST_NAME_RULE } from '../../../network/host-name.js'
import { NotReachedError } from '../../../relay-client/client-error.js'
import { type ClientAnswer, isRefusal, type RelayClient } from '../../../relay-client/relay-client.js'
import { jsonProblem } from '../../../values/failures/json-problem.js'
import { errorMessage } from '../../../values/failures/system-error.js'
import { isNodeId, ROOT_ID } from '../../../values/ids.js'
import { CommandError, UsageError } from '../../command-error.js'
import { openClient, readConfig, type ServerOptions } from '../../options/connection-options.js'
import { printDiagnostic } from '../../output/diagnostic.js'

/** The number of problems of a nodes list that are printed. */
const MAX_PROBLEMS = 10
/** The sign that an import is under way, beside the nodes list. */
const TURN = '.nodes-import~'
/** How long another import is waited for; a relay may read a large list for a minute. */
const TURN_LIMIT_MS = 300_000
/** Added to the number of a signal: the exit code that a shell reports for a program that it ended. */
const EXIT_OF_SIGNALS = 128

/**
 * Puts a nodes list, and certificates, where the configuration says, and has the relay read them. When the relay
 * refuses them, the former files are put back.
 * @throws {UsageError} for files that cannot be used @throws {CommandError} with nothing changed, unless it says so
 */
export async function importNodes(
  nodesFile: string | undefined,
  options: ServerOptions & { readonly certs?: string }
): Promise<void> {
  const config = await readConfig(options)
  if (config === undefined && (nodesFile ?? options.certs) !== undefined) {
    throw new UsageError('--config <dir> is needed: it says where the nodes list belongs')
  }
  const placed: AtomicWrite[] = []
  const interrupt = catchInterrupts()
  const client = await openClient(options)
  let endTurn = async () => {}
  try {
    if (config !== undefined) endTurn = await waitForTurn(config.general.nodesListFile, interrupt.signal)
    // Both are read and checked before either is put in place.
    const nodes = nodesFile === undefined ? undefined : await readChecked('[nodeslist]', nodesFile, checkNodesList)
    const certs =
      options.certs === undefined ? undefined : await readChecked('--certs', options.certs, checkCertificates)
    if (config !== undefined && nodes !== undefined)
      placed.push(await replaceWithUndo(config.general.nodesListFile, nodes))
    if (config !== undefined && certs !== undefined)
      placed.push(await replaceWithUndo(config.general.nodesCertsFile, certs))
    const problem = await reloadProblem(client, await reload(client, interrupt.signal))
    if (problem !== undefined) {
      if (placed.length === 0) throw new CommandError(problem)
      await undo(placed)
      await readFormerAgain(client, interrupt.signal)
      throw new CommandError(`${problem}\nThe former files are in place again.`)
    }
    await Promise.all(placed.map(file => file.keep()))
    console.log(placed.length === 0 ? 'read again' : `in place and read: ${placed.map(file => file.path).join(', ')}`)
  } catch (error) {
    if (placed.length > 0 && error instanceof NotReachedError) {
      await Promise.all(placed.map(file => file.keep()))
      throw new CommandError(`${error.message}\nThe new files are in place, and will be read when it starts.`)
    }
    await undo(placed)
    throw error
  } finally {
    await endTurn()
    interrupt.release()
    await client.close()
  }
}

/**
 * Waits for other imports into the same folder: of two at once, each would be told what the relay says of the files of the
 * other, and the one that is refused would put those of the other back, or away.
 * @returns ends the turn
 */
async function waitForTurn(nodesListFile: string, signal: AbortSignal): Promise<() => Promise<void>> {
  const place = await FilePlace.open(nodesListFile)
  try {
    const endTurn = await takeTurn(place.folder, {
      name: TURN,
      work: '`treeline nodes import`',
      limitMs: TURN_LIMIT_MS,
      signal,
      onWait: () => printDiagnostic('note: another `treeline nodes import` is under way; waiting until it has ended')
    })
    return async () => {
      endTurn()
      await place.close()
    }
  } catch (error) {
    await place.close()
    throw error
  }
}

/** Lets SIGINT and SIGTERM end the wait for the relay, so that the former files come back. */
function catchInterrupts(): { readonly signal: AbortSignal; readonly release: () => void } {
  const stop = new AbortController()
  const interrupt = (signal: NodeJS.Signals) => {
    const advice =
      'no new file stays in place; if the relay has read one by now, have it read again: treeline nodes import'
    stop.abort(new CommandError(`interrupted: ${advice}`, EXIT_OF_SIGNALS + constants.signals[signal]))
  }
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt)
  return {
    signal: stop.signal,
    release: () => void process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
  }
}

/**
 * Has the relay read the former files again. The relay may have taken over the list and refused another part of what
 * it read, and until it reads again its status reports an error in files that are gone.
 */
async function readFormerAgain(client: RelayClient, signal: AbortSignal): Promise<void> {
  try {
    await reloadProblem(client, await reload(client, signal))
  } catch {
    // what was wrong at first is what the user is told
  }
}

function reload(client: RelayClient, signal: AbortSignal): Promise<ClientAnswer> {
  return client.send({ method: 'POST', path: 'system/reload', headers: { accept: 'application/json' }, signal })
}

async function undo(placed: AtomicWrite[]): Promise<void> {
  for (const file of placed.splice(0).reverse()) await file.undo()
}

/** A reload that failed is told by status or by `result`, depending on the relay. */
async function reloadProblem(client: RelayClient, answer: ClientAnswer): Promise<string | undefined> {
  if (isRefusal(answer)) return (await client.refusal(answer)).message
  const result = await client.readJson(answer)
  if (typeof result !== 'object' || result === null || !('result' in result) || result.result === 'success')
    return undefined
  return `the relay could not read it: ${'errorDetails' in result ? String(result.errorDetails) : 'it does not say why'}`
}

async function readChecked(name: string, path: string, check: (text: string) => string[]): Promise<string> {
  const text = await readNamedFile(name, path)
  const problems = check(text)
  if (problems.length === 0) return text
  const more = problems.length > MAX_PROBLEMS ? [`and ${problems.length - MAX_PROBLEMS} more`] : []
  throw new UsageError([`${path} cannot be imported:`, ...problems.slice(0, MAX_PROBLEMS), ...more].join('\n  '))
}

/** @returns what is wrong with the text of a nodes list */
function checkNodesList(text: string): string[] {
  let list: unknown
  try {
    list = JSON.parse(text)
  } catch (error) {
    return [`not JSON: ${jsonProblem(error)}`]
  }
  if (typeof list !== 'object' || list === null || Array.isArray(list))
    return ['not one JSON object with a member per node']
  return Object.entries(list).flatMap(([id, node]) => checkNode(id, node))
}

function checkNode(id: string, node: unknown): string[] {
  if (!isNodeId(id)) return [`${JSON.stringify(id)} is not a node id`]
  if (typeof node !== 'object' || node === null) return [`${id}: not an object`]
  const members = new Map<string, unknown>(Object.entries(node))
  const problems: string[] = []
  const policyServer = members.get('policy-server')
  if (typeof policyServer !== 'string' || !isNodeId(policyServer))
    problems.push(`${id}: policy-server is not a node id`)
  if (policyServer === id && id !== ROOT_ID) problems.push(`${id}: is its own policy server, which only root is`)
  const hostname = members.get('hostname')
  if (typeof hostname !== 'string' || hostname === '') problems.push(`${id}: hostname is missing`)
  else if (canonicalHost(hostname) === undefined) {
    problems.push(`${id}: the hostname ${JSON.stringify(hostname.slice(0, 80))} should be ${HOST_NAME_RULE}`)
  }
  return problems
}

function checkCertificates(text: string): string[] {
  const blocks = certificateBlocks(text)
  const begun = text.split(BEGIN_CERTIFICATE).length - 1
  if (begun !== blocks.length) return [`${begun - blocks.length} certificate(s) without an end`]
  return blocks.flatMap((pem, index) => {
    try {
      void new X509Certificate(pem)
      return []
    } catch (error) {
      return [`certificate ${index + 1}: ${errorMessage(error)}`]
    }
  })
}
