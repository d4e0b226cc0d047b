import { dirname } from 'node:path'
import type { ReceiveConfig } from '../../config/agent/agent-config.js'
import { type Download, downloadFile } from '../../file-exchange/download.js'
import { FilePlace, statIfThere } from '../../file-exchange/places/file-place.js'
import { findOwner, trustFor } from '../../file-exchange/places/owner.js'
import { identityOf } from '../../file-system/files/file-identity.js'
import { removeLeftovers } from '../../file-system/files/leftovers.js'
import { asObject, objectsOf, textOf } from '../../relay-client/json-answer.js'
import { apiPath, type RelayClient } from '../../relay-client/relay-client.js'
import { FileCommands, type FileCommandsOptions } from './file-commands.js'
import type { FileState } from './file-state.js'
import { hasSameContent, type Placed, placedFile, stillPlaced } from './placed-file.js'
import type { TransferStep } from './transfer-watch.js'

export interface ReceiverOptions extends FileCommandsOptions {
  readonly state: FileState
  /** Ends the reading of a file in its place. */
  readonly signal?: AbortSignal
}

const DEFAULT_MODE = 0o644

/** Fetches the files of `[[agent.receive]]`. */
export class Receiver {
  readonly #commands: FileCommands
  /** The folder of each destination, by its number, in which nothing of former agents is left. */
  readonly #swept = new Map<string, string>()

  constructor(private readonly options: ReceiverOptions) {
    this.#commands = new FileCommands(options)
  }

  /** The command that still runs for an entry, and its start, as a user reads it. */
  commandOf({ destination }: ReceiveConfig): string | undefined {
    return this.#commands.runningAt(destination)
  }

  /**
   * Fetches an entry's file if its policy server has another one than is in place, and runs its command. While that runs,
   * the destination is left as it is.
   * @returns whether there was something to do
   * @throws {Error} when it could not be done
   */
  async receive(client: RelayClient, entry: ReceiveConfig, onStep?: (step: TransferStep) => void): Promise<boolean> {
    const { state, config, logger, signal } = this.options
    const { source, fileId, destination } = entry
    await state.catchUp()
    if (this.commandOf(entry) !== undefined) return false
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
    const placed = file
    await this.#commands.run(entry, entry.command, async () =>
      state.setReceived(key, { ...(await afterCommand(destination, placed)), isDone: true })
    )
    return true
  }

  /** Ends the commands that run; they are run again at the next start. @returns a promise of their end */
  stop(): Promise<void> {
    this.#commands.stop()
    return this.#commands.ended()
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
