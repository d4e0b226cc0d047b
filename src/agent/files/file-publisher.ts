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
import type { RelayClient } from '../../relay-client/relay-client.js'
import type { Logger } from '../../values/logging/logger.js'
import { parseTtl } from '../../values/time/ttl.js'
import type { FileState } from './file-state.js'
import type { TransferStep } from './transfer-watch.js'

export interface FilePublisherOptions {
  readonly config: AgentConfig
  readonly state: FileState
  readonly logger: Logger
  readonly now?: () => number
}

const ALGORITHM = 'sha512'
/** The time after which the relay is asked again whether it has a file: it may have lost it with its disk. */
const ASK_EVERY_MS = 3_600_000

/** A file as it was when the relay had it. */
interface SeenFile {
  readonly sizeBytes: number
  readonly modifiedAtMs: number
  readonly hash: string
  readonly seenAtMs: number
  /** How often everything was to be asked again by then. */
  readonly round: number
}

/**
 * Shares the files of `[[agent.share]]`: when they change, when the relay does not have them any more, and again before half
 * of their time to live is over.
 */
export class FilePublisher {
  readonly #seen = new WeakMap<ShareConfig, SeenFile>()
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
    const { config, state, logger } = this.options
    const fileKey = { target: entry.target, source: config.nodeId, fileId: entry.fileId }
    const key = `${entry.target}/${entry.fileId} ${entry.path}`
    await state.catchUp()
    const round = this.#round // what is to be asked again from now on is not asked yet when this ends
    const file = await StableFile.open(entry.path, { name: 'path', openFile: openShareable })
    try {
      const { sizeBytes, modifiedAtMs } = file
      const seen = this.#seen.get(entry)
      const former = state.shared(key)
      const halfLifeMs = parseTtl(entry.ttl) * 500
      const ageMs = this.#now() - (former?.sharedAtMs ?? Number.NEGATIVE_INFINITY)
      const isFresh = isWithin(ageMs, halfLifeMs)
      const isSame = seen?.sizeBytes === sizeBytes && seen.modifiedAtMs === modifiedAtMs
      const isAsked = seen?.round === round && isWithin(this.#now() - seen.seenAtMs, ASK_EVERY_MS)
      if (isFresh && isSame && isAsked) return false
      // only to ask for it, a file that looks the same is not read again
      let hashValue = isSame ? seen.hash : await file.hash(ALGORITHM)
      onStep?.('bytes')
      const isKnown = isFresh && former?.hash === hashValue && (await isThere(client, fileKey, hashValue))
      if (!isKnown) {
        onStep?.('local')
        if (isSame) hashValue = await file.hash(ALGORITHM)
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
      return !isKnown
    } finally {
      await file.close()
    }
  }
}

/** Whether an age is known, and below a limit. A negative one is of a time in the future: the clock was set back, and the age is unknown. */
function isWithin(ageMs: number, limitMs: number): boolean {
  return ageMs >= 0 && ageMs < limitMs
}

async function readSigningKey(path: string): Promise<SigningKey> {
  return parseSigningKey({ pem: await readConfiguredFile('signing_key_file', path), path }, signingPassphrase())
}
