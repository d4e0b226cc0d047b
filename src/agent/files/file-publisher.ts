import type { AgentConfig, ShareConfig } from '../../config/agent/agent-config.js'
import { agentFields } from '../../file-exchange/agent-fields.js'
import { signingTime } from '../../file-exchange/detached-signature.js'
import { parseSigningKey } from '../../file-exchange/key-files.js'
import { readConfiguredFile } from '../../file-exchange/places/named-file.js'
import { openShareable } from '../../file-exchange/places/shareable-file.js'
import { StableFile } from '../../file-exchange/stable-file.js'
import { isThere, uploadFile } from '../../file-exchange/upload.js'
import { type SigningKey, signFile } from '../../keys/signatures/sign-file.js'
import { signingPassphrase } from '../../process/passphrase.js'
import { ClientError, RefusedError } from '../../relay-client/client-error.js'
import type { RelayClient } from '../../relay-client/relay-client.js'
import type { Logger } from '../../values/logging/logger.js'
import { parseTtl } from '../../values/time/ttl.js'
import type { FileState } from './file-state.js'
import type { TransferStep } from './transfer-watch.js'

export interface FilePublisherOptions {
  readonly config: AgentConfig
  readonly state: FileState
  readonly logger: Logger
  /** Ends the reading of a file. */
  readonly signal?: AbortSignal
  readonly now?: () => number
}

const ALGORITHM = 'sha512'
/** The time after which the relay is asked again whether it has a file: it may have lost it with its disk. */
const ASK_EVERY_MS = 3_600_000
/** The time for which a file that the relay found too large is not read again, nor a larger one: it has to be read whole each time. */
const TOO_LARGE_MS = 10 * 60_000
const TOO_LARGE_STATUS = 413

/** A file as it was when the relay had it. */
interface SeenFile {
  readonly sizeBytes: number
  readonly modifiedAtMs: number
  readonly hash: string
  readonly seenAtMs: number
  /** How often everything was to be asked again by then. */
  readonly round: number
}

/** A file that the relay found too large. */
interface TooLarge {
  readonly sizeBytes: number
  readonly refusal: RefusedError
  readonly atMs: number
  readonly round: number
}

/**
 * Shares the files of `[[agent.share]]`: when they change, when the relay does not have them any more, and again before half
 * of their time to live is over.
 */
export class FilePublisher {
  readonly #seen = new WeakMap<ShareConfig, SeenFile>()
  readonly #tooLarge = new WeakMap<ShareConfig, TooLarge>()
  readonly #now: () => number
  #round = 0

  constructor(private readonly options: FilePublisherOptions) {
    this.#now = options.now ?? Date.now
  }

  /** Has the relay asked for each file at the next look: it may be another one, or have lost them. */
  askAgain(): void {
    this.#round += 1
  }

  /** @returns whether it was shared now @throws {Error} when it could not be; it is tried again later */
  async share(client: RelayClient, entry: ShareConfig, onStep?: (step: TransferStep) => void): Promise<boolean> {
    const { config, state, logger, signal } = this.options
    const fileKey = { target: entry.target, source: config.nodeId, fileId: entry.fileId }
    const key = `${entry.target}/${entry.fileId} ${entry.path}`
    await state.catchUp()
    const round = this.#round // what is to be asked again from now on is not asked yet when this ends
    const file = await StableFile.open(entry.path, { name: 'path', openFile: openShareable })
    try {
      const { sizeBytes, modifiedAtMs } = file
      this.#checkSize(entry, sizeBytes)
      const seen = this.#seen.get(entry)
      const former = state.shared(key)
      const halfLifeMs = parseTtl(entry.ttl) * 500
      const ageMs = this.#now() - (former?.sharedAtMs ?? Number.NEGATIVE_INFINITY)
      const isFresh = isWithin(ageMs, halfLifeMs)
      const isSame = seen?.sizeBytes === sizeBytes && seen.modifiedAtMs === modifiedAtMs
      const isAsked = seen?.round === round && isWithin(this.#now() - seen.seenAtMs, ASK_EVERY_MS)
      if (isFresh && isSame && isAsked) return false
      // only to ask for it, a file that looks the same is not read again
      let hashValue = isSame ? seen.hash : await file.hash(ALGORITHM, signal)
      onStep?.('bytes')
      const isKnown = isFresh && former?.hash === hashValue && (await isThere(client, fileKey, hashValue))
      if (!isKnown) {
        onStep?.('local')
        if (isSame) hashValue = await file.hash(ALGORITHM, signal)
        const signingKey = await readSigningKey(config.signingKeyFile)
        const nowMs = this.#now()
        const parts = {
          signedAtMs: signingTime(nowMs, former?.signedAtMs ?? former?.sharedAtMs),
          algorithm: ALGORITHM,
          hashValue
        } as const
        const metadata = signFile(signingKey, fileKey, parts, agentFields(signingKey, parts.signedAtMs))
        const onProgress = (bytes: number) => onStep?.(bytes < sizeBytes ? 'bytes' : 'answer')
        onProgress(0)
        const outcome = await uploadFile(client, fileKey, file, metadata, entry.ttl, onProgress)
        onStep?.('local')
        await state.setShared(key, { hash: hashValue, sharedAtMs: nowMs, signedAtMs: parts.signedAtMs })
        logger.info({ target: entry.target, fileId: entry.fileId, bytes: sizeBytes, outcome }, 'file shared')
      }
      this.#seen.set(entry, { sizeBytes, modifiedAtMs, hash: hashValue, seenAtMs: this.#now(), round })
      this.#tooLarge.delete(entry)
      return !isKnown
    } catch (error) {
      if (error instanceof RefusedError && error.status === TOO_LARGE_STATUS)
        this.#tooLarge.set(entry, { sizeBytes: file.sizeBytes, refusal: error, atMs: this.#now(), round })
      throw error
    } finally {
      await file.close()
    }
  }

  /**
   * Refuses a file before it is read: others may be able to make it as large as they like, and while it is read no other
   * file has its turn.
   */
  #checkSize(entry: ShareConfig, sizeBytes: number): void {
    const { maxShareBytes } = this.options.config.agent
    if (sizeBytes > maxShareBytes) {
      throw new ClientError(
        `${entry.path} has ${sizeBytes} bytes, and agent.max_share_size is ${maxShareBytes}: make it smaller, or raise that, and shared_files.max_body_size of the relays on the way`
      )
    }
    const refused = this.#tooLarge.get(entry)
    if (refused === undefined || sizeBytes < refused.sizeBytes || refused.round !== this.#round) return
    if (isWithin(this.#now() - refused.atMs, TOO_LARGE_MS)) throw refused.refusal
  }
}

/** Whether an age is known, and below a limit. A negative one is of a time in the future: the clock was set back, and the age is unknown. */
function isWithin(ageMs: number, limitMs: number): boolean {
  return ageMs >= 0 && ageMs < limitMs
}

async function readSigningKey(path: string): Promise<SigningKey> {
  return parseSigningKey({ pem: await readConfiguredFile('signing_key_file', path), path }, signingPassphrase())
}
