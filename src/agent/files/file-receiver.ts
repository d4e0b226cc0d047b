import { dirname } from 'node:path'
import type { AgentConfig, ReceiveConfig } from '../../config/agent/agent-config.js'
import { type Download, downloadFile } from '../../file-exchange/download.js'
import { FilePlace, statIfThere } from '../../file-exchange/places/file-place.js'
import { findOwner, trustFor } from '../../file-exchange/places/owner.js'
import { identityOf } from '../../file-system/files/file-identity.js'
import { removeLeftovers } from '../../file-system/files/leftovers.js'
import { asObject, objectsOf, textOf } from '../../relay-client/json-answer.js'
import { apiPath, type RelayClient } from '../../relay-client/relay-client.js'
import { Command, type CommandEnd } from '../../remote-run/execution/command.js'
import type { Logger } from '../../values/logging/logger.js'
import type { FileState } from './file-state.js'
import { hasSameContent, type Placed, placedFile, stillPlaced } from './placed-file.js'
import type { TransferStep } from './transfer-watch.js'

export interface ReceiverOptions {
  readonly config: AgentConfig
  readonly state: FileState
  readonly logger: Logger
  /** Ends the reading of a file in its place. */
  readonly signal?: AbortSignal
}

const DEFAULT_MODE = 0o644
const KILL_GRACE_MS = 5_000
/** The part of a command's output that the log gets. */
const MAX_OUTPUT_CHARS = 4_000

/** Fetches the files of `[[agent.receive]]`. */
export class Receiver {
  readonly #running = new Set<Command>()
  /** The folder of each destination, by its number, in which nothing of former agents is left. */
  readonly #swept = new Map<string, string>()
  #isStopped = false

  constructor(private readonly options: ReceiverOptions) {}

  /**
   * Fetches an entry's file if its policy server has another one than is in place, and runs its command.
   * @returns whether there was something to do
   * @throws {Error} when it could not be done
   */
  async receive(client: RelayClient, entry: ReceiveConfig, onStep?: (step: TransferStep) => void): Promise<boolean> {
    const { state, config, logger, signal } = this.options
    const { source, fileId, destination } = entry
    await state.catchUp()
    await this.#sweepOnce(entry)
    const key = `${source}/${fileId} ${destination}`
    onStep?.('bytes')
    const hash = await hashOnServer(client, config.nodeId, entry)
    onStep?.('local')
    if (hash === undefined) return false
    const former = state.received(key)
    let file = former?.hash === hash ? await stillPlaced(destination, former, signal) : undefined
    if (former !== undefined && file !== undefined) {
      if (former.isDone) {
        logger.debug({ source, fileId, destination }, 'file in place already')
        if (file.identity?.statusChangedAtMs !== former.identity?.statusChangedAtMs)
          await state.setReceived(key, { ...file, isDone: true })
        return false
      }
      logger.info(
        { source, fileId, destination },
        'running the command of a received file again: it did not finish before'
      )
    } else {
      const rules = await rulesFor(entry)
      onStep?.('answer')
      const { bytes, voucher, stats } = await downloadFile(client, {
        fileKey: { target: config.nodeId, source, fileId },
        destination,
        sourceKeyHash: entry.sourceKeyHash,
        sourceKeyName: 'source_key_hash',
        signedFromMs: state.signedAtMs(source, fileId),
        onVerified: signedAtMs => state.setSigned(source, fileId, signedAtMs),
        onProgress: (received, total) => onStep?.(received === total ? 'answer' : 'bytes'),
        ...rules
      })
      onStep?.('local')
      file = placedFile(hash, stats)
      logger.info({ source, fileId, destination, bytes, voucher }, 'file received')
    }
    await state.setReceived(key, { ...file, isDone: entry.command === undefined })
    if (entry.command === undefined) return true
    await this.#run(entry.command, entry)
    if (!this.#isStopped) await state.setReceived(key, { ...(await afterCommand(destination, file)), isDone: true })
    return true
  }

  /** Ends the commands that run; they are run again at the next start. */
  stop(): void {
    this.#isStopped = true
    for (const command of this.#running) command.stop()
  }

  /**
   * Removes what was left beside a destination, once in each folder that is there in turn: it may be made or mounted
   * later. Each later download looks through the beginning of the folder alone.
   */
  async #sweepOnce(entry: ReceiveConfig): Promise<void> {
    const { destination } = entry
    try {
      const folder = identityOf(await statIfThere(dirname(destination)))
      if (folder === undefined || this.#swept.get(destination) === folder) return
      const { trust } = await rulesFor(entry)
      const place = await FilePlace.open(destination, trust)
      await removeLeftovers(place.folder, place.name, Date.now(), Number.POSITIVE_INFINITY).finally(() => place.close())
      this.#swept.set(destination, folder)
    } catch {
      // a download meets the same error, and tells of it
    }
  }

  async #run([file, ...args]: readonly [string, ...string[]], { source, fileId }: ReceiveConfig): Promise<void> {
    if (this.#isStopped) return
    const { config, logger } = this.options
    let output = ''
    const command = new Command({
      file,
      args,
      timeoutMs: config.agent.timeoutMs,
      killGraceMs: KILL_GRACE_MS,
      onOutput: (_stream, lines) => {
        if (output.length < MAX_OUTPUT_CHARS) output = (output + lines).slice(0, MAX_OUTPUT_CHARS)
      },
      onStarted: () => undefined
    })
    this.#running.add(command)
    const end = await command.ended
    this.#running.delete(command)
    const details = { source, fileId, command: file, output: output.trimEnd() }
    const problem = problemOf(end)
    if (problem === undefined) logger.info(details, 'command of a received file finished')
    else logger.error({ ...details, problem }, 'file received, but its command failed')
  }
}

/** Undefined where the policy server has no such file for us. */
async function hashOnServer(client: RelayClient, nodeId: string, entry: ReceiveConfig): Promise<string | undefined> {
  const query = { file_id: entry.fileId }
  const answer = asObject(await client.json({ method: 'GET', path: apiPath('shared-files', nodeId), query }), 'a list')
  const listed = objectsOf(answer, 'files').find(file => file.source === entry.source && file.file_id === entry.fileId)
  return listed === undefined ? undefined : textOf(listed, 'hash')
}

/** A command may give the file another mode or owner: the file is not fetched again for that. */
async function afterCommand(path: string, file: Placed): Promise<Placed> {
  const stats = await statIfThere(path)
  const now = stats === undefined ? file : placedFile(file.hash, stats)
  return hasSameContent(now, file) ? now : file
}

async function rulesFor({ owner: name, mode }: ReceiveConfig): Promise<Pick<Download, 'trust' | 'attributes'>> {
  const owner = name === undefined ? undefined : await findOwner(name)
  return { trust: trustFor(owner), attributes: { mode, defaultMode: DEFAULT_MODE, owner } }
}

function problemOf(end: CommandEnd): string | undefined {
  if (end.kind === 'failed' || end.kind === 'lost') return end.reason
  if (end.kind !== 'exited') return end.kind.replace('_', ' ')
  if (end.exitCode === 0) return undefined
  return end.signal === null ? `exit code ${end.exitCode}` : `ended by ${end.signal}`
}
