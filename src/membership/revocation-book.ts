import type { Revocations } from '../hops/peers/peer-revocations.js'
import { errorCode, errorMessage } from '../values/failures/system-error.js'
import type { Logger } from '../values/logger.js'
import { readIfThere, writeAtomically } from './atomic-files.js'
import { parseList, type RevocationList, type RevokedCertificate, readList } from './revocation-list.js'

const MODE = 0o640

export interface RevocationBookOptions {
  /** The file of the newest list. */
  readonly file: string
  /** PEM, as it is now. @throws {Error} when it cannot be read */
  readonly ca: () => Promise<string>
  readonly logger: Logger
}

type End = (why: string) => void

/**
 * The newest list of revoked certificates that has come here, from whomever: the CA's signature alone counts, and a list
 * never gives way to one with a lower number.
 */
export class RevocationBook implements Revocations {
  #list: RevocationList = { number: 0, entries: [] }
  #text = ''
  #revoked: ReadonlyMap<string, RevokedCertificate> = new Map()
  #isKept = true
  #taking: Promise<unknown> = Promise.resolve()
  readonly #watched = new Map<string, Set<End>>()
  readonly #listeners = new Set<() => void>()

  constructor(private readonly options: RevocationBookOptions) {}

  /** The newest list; one with number 0 while there is none. */
  get list(): RevocationList {
    return this.#list
  }

  /** The list as it came; empty while there is none. */
  get text(): string {
    return this.#text
  }

  /** Reads what was kept. A list that is damaged is not used, and logged. @throws {Error} for a fault of the program */
  async load(): Promise<void> {
    const { file, ca, logger } = this.options
    try {
      const text = await readIfThere(file)
      if (text !== undefined) this.#putInForce(readList(text, await ca()), text)
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
   * @throws {Error} when it cannot be kept; it is in force all the same
   */
  take(text: string): Promise<boolean> {
    const taken = this.#taking.then(() => this.#take(text))
    this.#taking = taken.catch(() => undefined) // its own caller hears of it
    return taken
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
    const { file, ca, logger } = this.options
    if (isNewer) {
      this.#putInForce(readList(text, await ca()), text)
      logger.info({ number, revoked: this.#revoked.size }, 'a newer list of revoked certificates is in force')
    }
    this.#isKept = false // a full disk must not keep a revoked certificate good: it is written when it is given again
    await writeAtomically(file, text, MODE)
    this.#isKept = true
    return isNewer
  }

  #putInForce(list: RevocationList, text: string): void {
    this.#list = list
    this.#text = text
    this.#revoked = new Map(list.entries.map(entry => [entry.fingerprint, entry]))
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
