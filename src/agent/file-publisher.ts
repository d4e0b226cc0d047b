import type { AgentConfig, ShareConfig } from '../config/agent/agent-config.js'
import { agentFields } from '../file-exchange/agent-fields.js'
import { signingTime } from '../file-exchange/detached-signature.js'
import { parseSigningKey } from '../file-exchange/key-files.js'
import { readConfiguredFile } from '../file-exchange/places/named-file.js'
import { openShareable } from '../file-exchange/places/shareable-file.js'
import { StableFile } from '../file-exchange/stable-file.js'
import { isThere, uploadFile } from '../file-exchange/upload.js'
import { signingPassphrase } from '../process/passphrase.js'
import type { RelayClient } from '../relay-client/relay-client.js'
import { type SigningKey, signFile } from '../values/keys/sign-file.js'
import type { Logger } from '../values/logging/logger.js'
import { parseTtl } from '../values/time/ttl.js'
import type { FileState } from './file-state.js'

export interface FilePublisherOptions {
  readonly config: AgentConfig
  readonly state: FileState
  readonly logger: Logger
  readonly now?: () => number
}

const ALGORITHM = 'sha512'

/** Shares the files of `[[agent.share]]`: when they change, and again before half of their time to live is over. */
export class FilePublisher {
  readonly #seen = new Map<ShareConfig, { readonly sizeBytes: number; readonly modifiedAtMs: number }>()
  readonly #now: () => number

  constructor(private readonly options: FilePublisherOptions) {
    this.#now = options.now ?? Date.now
  }

  /** @returns whether it was shared now @throws {Error} when it could not be; it is tried again later */
  async share(client: RelayClient, entry: ShareConfig): Promise<boolean> {
    const { config, state, logger } = this.options
    const fileKey = { target: entry.target, source: config.nodeId, fileId: entry.fileId }
    const key = `${entry.target}/${entry.fileId} ${entry.path}`
    await state.catchUp()
    const file = await StableFile.open(entry.path, { name: 'path', openFile: openShareable })
    try {
      const { sizeBytes, modifiedAtMs } = file
      const seen = this.#seen.get(entry)
      const former = state.shared(key)
      const halfLifeMs = parseTtl(entry.ttl) * 500
      const ageMs = this.#now() - (former?.sharedAtMs ?? Number.NEGATIVE_INFINITY)
      const isFresh = ageMs >= 0 && ageMs < halfLifeMs // one from the future: nobody knows how old it is
      if (isFresh && seen?.sizeBytes === sizeBytes && seen.modifiedAtMs === modifiedAtMs) return false
      const hashValue = await file.hash(ALGORITHM)
      const isKnown = isFresh && former?.hash === hashValue && (await isThere(client, fileKey, hashValue))
      if (!isKnown) {
        const signingKey = await readSigningKey(config.signingKeyFile)
        const nowMs = this.#now()
        const parts = {
          signedAtMs: signingTime(nowMs, former?.signedAtMs ?? former?.sharedAtMs),
          algorithm: ALGORITHM,
          hashValue
        } as const
        const metadata = signFile(signingKey, fileKey, parts, agentFields(signingKey, parts.signedAtMs))
        const outcome = await uploadFile(client, fileKey, file, metadata, entry.ttl)
        await state.setShared(key, { hash: hashValue, sharedAtMs: nowMs, signedAtMs: parts.signedAtMs })
        logger.info({ target: entry.target, fileId: entry.fileId, bytes: sizeBytes, outcome }, 'file shared')
      }
      this.#seen.set(entry, { sizeBytes, modifiedAtMs })
      return !isKnown
    } finally {
      await file.close()
    }
  }
}

async function readSigningKey(path: string): Promise<SigningKey> {
  return parseSigningKey({ pem: await readConfiguredFile('signing_key_file', path), path }, signingPassphrase())
}
