import { X509Certificate } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { certificateBlocks } from '../../keys/certificates/pem.js'
import type { Revocations } from '../../keys/certificates/revocations.js'
import { errorCode, errorMessage, failureKind } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logging/logger.js'
import { type Backoff, backoffMs } from '../../values/time/backoff.js'
import { readIfThere, writeAtomically } from '../setup/edit-files.js'
import { parseList, type RevocationList, type RevokedCertificate, readSignedList } from './revocation-list.js'

const MODE = 0o640
/** Between two attempts to write a list: a disk may be full for hours. */
const WRITE_AGAIN: Backoff = { firstMs: 1_000, maxMs: 60_000 }

export interface RevocationBookOptions {
  /** The file of the newest list. */
  readonly file: string
  /** PEM, as it is now. @throws {Error} when it cannot be read */
  readonly ca: () => Promise<string>
  readonly logger: Logger
  /** @default from a second to a minute */
  readonly writeAgain?: Backoff
}

type End = (why: string) => void

/**
 * The newest list of revoked certificates that has come here, from whomever: the CA's signature alone counts, and a list
 * never gives way to one with a lower number.
 */
export class RevocationBook implements Revocations {
  #list: RevocationList = { number: 0, entries: [], keys: [], tokens: [] }
  #authority: X509Certificate | undefined
  #text = ''
  #revoked: ReadonlyMap<string, RevokedCertificate> = new Map()
  #revokedTokens: ReadonlySet<string> = new Set()
  #isKept = true
  #taking: Promise<unknown> = Promise.resolve()
  /** Undefined while there is nothing to write again. */
  #writingAgain: Promise<void> | undefined
  /** The kind of failure to write the list that the log has. */
  #told: string | undefined
  readonly #stopping = new AbortController()
  readonly #watched = new Map<string, Set<End>>()
  readonly #listeners = new Set<() => void>()

  constructor(private readonly options: RevocationBookOptions) {}

  /** The newest list; one with number 0 while there is none. */
  get list(): RevocationList {
    return this.#list
  }

  /**
   * The certificate of the tree's CA: the one that signed the list. Without a list, the only one that lists are judged by;
   * undefined where there are several.
   */
  get authority(): X509Certificate | undefined {
    return this.#authority
  }

  /** The certificates of the CA, or of several, of which one signs lists. PEM. @throws {Error} when they cannot be read */
  ca(): Promise<string> {
    return this.options.ca()
  }

  /** The list as it came; empty while there is none. */
  get text(): string {
    return this.#text
  }

  /** Whether the list is on disk. Where it is not, it is written again until it is. */
  get isKept(): boolean {
    return this.#isKept
  }

  /** Reads what was kept. A list that is damaged is not used, and logged. @throws {Error} for a fault of the program */
  async load(): Promise<void> {
    const { file, ca, logger } = this.options
    try {
      const [only, ...others] = certificateBlocks(await ca())
      if (only !== undefined && others.length === 0) this.#authority = new X509Certificate(only)
      const text = await readIfThere(file)
      if (text !== undefined) this.#putInForce(readSignedList(text, await ca()), text)
    } catch (error) {
      if (isProgramFault(error)) throw error
      const reason = errorMessage(error)
      logger.error(
        { file, reason },
        'cannot use the stored list of revoked certificates; none is known until the next one comes'
      )
    }
  }

  /**
   * Puts a list in force, and keeps it, unless a newer one is here.
   * @returns whether it was newer
   * @throws {RevocationListError} for one that is none of this tree
   * @throws {Error} when it cannot be kept; it is in force all the same, and is written again until it is
   */
  take(text: string): Promise<boolean> {
    const taken = this.#taking.then(() => this.#take(text))
    this.#taking = taken.catch(() => undefined) // its own caller hears of it
    return taken
  }

  /** Ends the attempts to write a list. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#writingAgain
  }

  /** @param listener is told when another list is in force */
  onChange(listener: () => void): void {
    this.#listeners.add(listener)
  }

  whyRevoked(fingerprint: string): string | undefined {
    const entry = this.#revoked.get(fingerprint)
    if (entry === undefined) return undefined
    const { id } = entry
    return `the certificate of ${id} (sha256:${fingerprint}) was revoked, as ${id} joined again or was taken out of the tree`
  }

  /** Whether a token was revoked, or a certificate of a caller. @param id as in {@link RevokedToken} */
  isTokenRevoked(id: string): boolean {
    return this.#revokedTokens.has(id)
  }

  watch(fingerprint: string, end: End): () => void {
    const ends = this.#watched.get(fingerprint) ?? new Set()
    this.#watched.set(fingerprint, ends.add(end))
    return () => {
      ends.delete(end)
      if (ends.size === 0 && this.#watched.get(fingerprint) === ends) this.#watched.delete(fingerprint)
    }
  }

  async #take(text: string): Promise<boolean> {
    const { number } = parseList(text).list
    const isNewer = number > this.#list.number
    if (!isNewer && (this.#isKept || text !== this.#text)) return false
    const { ca, logger } = this.options
    if (isNewer) {
      this.#putInForce(readSignedList(text, await ca()), text)
      logger.info({ number, revoked: this.#revoked.size }, 'a newer list of revoked certificates is in force')
    }
    this.#isKept = false // a full disk must not keep a revoked certificate good
    await this.#keep(text)
    return isNewer
  }

  async #keep(text: string): Promise<void> {
    const { file, logger } = this.options
    try {
      await writeAtomically(file, text, MODE)
    } catch (error) {
      const kind = failureKind(error)
      if (kind !== this.#told) {
        const reason = errorMessage(error)
        logger.error({ file, reason }, 'cannot write the list of revoked certificates; it is in force; trying again')
      }
      this.#told = kind
      this.#writingAgain ??= this.#writeAgain().finally(() => {
        this.#writingAgain = undefined
      })
      throw error
    }
    this.#isKept = true
    if (this.#told !== undefined) logger.info({ file }, 'the list of revoked certificates is written')
    this.#told = undefined
  }

  /** Never rejects. */
  async #writeAgain(): Promise<void> {
    const { writeAgain = WRITE_AGAIN } = this.options
    const { signal } = this.#stopping
    for (let failures = 1; !this.#isKept && !signal.aborted; failures += 1) {
      await sleep(backoffMs(failures, writeAgain), undefined, { signal, ref: false }).catch(() => undefined) // aborted: it ends
      if (!signal.aborted) await this.take(this.#text).catch(() => undefined) // the log has it
    }
  }

  #putInForce({ list, signer }: ReturnType<typeof readSignedList>, text: string): void {
    this.#list = list
    this.#authority = new X509Certificate(signer)
    this.#text = text
    this.#revoked = new Map(list.entries.map(entry => [entry.fingerprint, entry]))
    this.#revokedTokens = new Set(list.tokens.map(({ id }) => id))
    for (const listener of this.#listeners) listener()
    for (const [fingerprint, ends] of this.#watched) {
      const why = this.whyRevoked(fingerprint)
      if (why === undefined) continue
      this.#watched.delete(fingerprint)
      for (const end of ends) end(why)
    }
  }
}

/** Whether the file is not to blame. Node's own errors of these kinds have a code. */
function isProgramFault(error: unknown): boolean {
  return (error instanceof ReferenceError || error instanceof TypeError) && errorCode(error) === undefined
}
