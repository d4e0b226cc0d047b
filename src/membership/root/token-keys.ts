import { createPublicKey, randomBytes } from 'node:crypto'
import { readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder } from '../../file-system/folders/make-folder.js'
import { MAX_SIGNED_LIFETIME_MS, NEW_TOKEN_ID_BYTES, signToken } from '../../keys/tokens/signed-token.js'
import {
  formatTokenSigner,
  makeTokenKey,
  parseTokenSigner,
  type TokenAlgorithm,
  type TokenSigner,
  tokenKeyOf
} from '../../keys/tokens/token-key.js'
import type { TokenScope } from '../../keys/tokens/token-scope.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { errorMessage, isMissing } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logging/logger.js'
import { isoTime } from '../../values/time/iso-time.js'
import type { RevocationBook } from '../revocations/revocation-book.js'
import { type ListedTokenKey, MAX_REVOKED_TOKENS, MAX_TOKEN_KEYS } from '../revocations/revocation-list.js'
import { readIfThere } from '../setup/edit-files.js'
import { publicKeyOf, writeSecret } from '../setup/member-folder.js'
import type { RevocationPublication } from './revocation-publication.js'

/** Revoked ids are remembered until their room is needed, and for so long after they have ended: a clock may have been wrong. */
const REMEMBERED_MS = 30 * 24 * 3_600_000
const FOLDER_MODE = 0o700
const SUFFIX = '.jwk'

/** A key of tokens as the root has it. */
export interface RootTokenKey extends ListedTokenKey {
  /** Whether its private key is here. */
  readonly canSign: boolean
}

export interface SignedTokenMade {
  readonly id: string
  readonly token: string
  readonly keyId: string
  readonly untilMs: number
}

export interface TokenKeysOptions {
  /** The folder of the private keys. It is made with the first one. */
  readonly folder: string
  /** The name of the tree in the claim `aud`. */
  readonly audience: string
  readonly publication: Pick<RevocationPublication, 'change'>
  /** The root's own, in which the public keys and the revoked ids are. */
  readonly book: Pick<RevocationBook, 'list'>
  readonly logger: Pick<Logger, 'info' | 'warn'>
  readonly now: () => number
}

/** The keys that sign tokens (JWT) of a tree, at its root. Their public parts go down with the list of revocations. */
export class TokenKeys {
  constructor(private readonly options: TokenKeysOptions) {}

  get audience(): string {
    return this.options.audience
  }

  /** All keys, the oldest first. */
  async list(): Promise<RootTokenKey[]> {
    const here = await this.#signers()
    return this.options.book.list.keys.map(key => ({ ...key, canSign: here.has(key.id) }))
  }

  /** Makes a key. It is on disk before it is published. @throws {RelayError} CONFLICT where there are too many */
  async create(algorithm: TokenAlgorithm): Promise<ListedTokenKey> {
    const { folder, audience, publication, book, logger } = this.options
    this.#checkRoom(book.list.keys)
    const privateKey = makeTokenKey(algorithm)
    const key = tokenKeyOf(createPublicKey(privateKey))
    makeFolder(folder, FOLDER_MODE)
    await writeSecret(this.#fileOf(key.id), formatTokenSigner({ key, privateKey, audience }))
    const listed = { id: key.id, algorithm, publicKey: publicKeyOf(privateKey).toString('base64') }
    await publication.change(({ keys, tokens }) => {
      if (keys.some(({ id }) => id === key.id)) return { keys, tokens }
      this.#checkRoom(keys)
      return { keys: [...keys, listed], tokens }
    })
    logger.info({ key: key.id, algorithm }, 'key of tokens made')
    return listed
  }

  /** Ends a key: all of its tokens are refused from now on. @throws {RelayError} NOT_FOUND */
  async retire(id: string): Promise<void> {
    const { publication, book, logger } = this.options
    if (!book.list.keys.some(key => key.id === id)) {
      throw new RelayError('NOT_FOUND', `there is no key ${id}; \`treeline token key list\` shows them`)
    }
    await publication.change(({ keys, tokens }) => ({ keys: keys.filter(key => key.id !== id), tokens }))
    await unlink(this.#fileOf(id)).catch((error: unknown) => {
      if (isMissing(error)) return
      logger.warn({ key: id, reason: errorMessage(error) }, 'cannot remove the private key of tokens; it is retired')
    })
    logger.info({ key: id }, 'key of tokens retired')
  }

  /**
   * Signs a token with the newest key, or with the one given.
   * @throws {RelayError} CONFLICT where there is no such private key here, INVALID_INPUT for a lifetime that is too long
   */
  async sign(scopes: readonly TokenScope[], lifetimeMs: number, keyId?: string): Promise<SignedTokenMade> {
    const { book, logger, now } = this.options
    if (lifetimeMs > MAX_SIGNED_LIFETIME_MS) {
      throw new RelayError('INVALID_INPUT', `a token lives for ${MAX_SIGNED_LIFETIME_MS / 86_400_000} days at most`)
    }
    const here = await this.#signers()
    const listed = book.list.keys.filter(({ id }) => keyId === undefined || id === keyId)
    const signer = listed.flatMap(({ id }) => here.get(id) ?? []).at(-1)
    if (signer === undefined) {
      const which = keyId === undefined ? 'no key of tokens' : `no key ${keyId} with its private part`
      throw new RelayError('CONFLICT', `there is ${which} here: \`treeline token key create\` makes one`)
    }
    const id = randomBytes(NEW_TOKEN_ID_BYTES).toString('base64url')
    const untilMs = now() + lifetimeMs
    const token = signToken(signer, { id, scopes, nowMs: now(), untilMs })
    logger.info({ token: id, key: signer.key.id, until: isoTime(untilMs) }, 'token signed')
    return { id, token, keyId: signer.key.id, untilMs }
  }

  /**
   * Revokes a token, or a certificate of a caller, for good. Of which ids there are tokens, nobody keeps a record.
   * @param id `jti` of a token, or the SHA-256 of a certificate in hex
   * @throws {RelayError} CONFLICT where the list is full
   */
  async revoke(id: string): Promise<void> {
    const { publication, logger, now } = this.options
    await publication.change(({ keys, tokens }) => {
      if (tokens.some(token => token.id === id)) return { keys, tokens }
      const isFull = tokens.length >= MAX_REVOKED_TOKENS
      const kept = isFull ? tokens.filter(({ untilMs }) => untilMs > now() - REMEMBERED_MS) : tokens
      if (kept.length >= MAX_REVOKED_TOKENS) {
        throw new RelayError(
          'CONFLICT',
          `${MAX_REVOKED_TOKENS} tokens are revoked already: retire the key that signed this one (\`treeline token key retire\`), which ends all of its tokens`
        )
      }
      return { keys, tokens: [...kept, { id, untilMs: now() + MAX_SIGNED_LIFETIME_MS }] }
    })
    logger.info({ token: id }, 'token revoked')
  }

  #fileOf(id: string): string {
    return join(this.options.folder, id + SUFFIX)
  }

  #checkRoom(keys: readonly ListedTokenKey[]): void {
    if (keys.length < MAX_TOKEN_KEYS) return
    throw new RelayError(
      'CONFLICT',
      `there are ${MAX_TOKEN_KEYS} keys already: retire one (\`treeline token key retire\`)`
    )
  }

  /** The private keys that are here. One that cannot be used is logged, and left out. */
  async #signers(): Promise<ReadonlyMap<string, TokenSigner>> {
    const { folder, audience, logger } = this.options
    const names = await readdir(folder).catch((error: unknown) => {
      if (isMissing(error)) return []
      throw error
    })
    const signers = new Map<string, TokenSigner>()
    for (const name of names.filter(text => text.endsWith(SUFFIX))) {
      const file = join(folder, name)
      try {
        const signer = parseTokenSigner((await readIfThere(file)) ?? '')
        if (signer.audience !== audience) throw new Error('it is of another tree')
        signers.set(signer.key.id, signer)
      } catch (error) {
        logger.warn({ file, reason: errorMessage(error) }, 'cannot use a private key of tokens')
      }
    }
    return signers
  }
}
