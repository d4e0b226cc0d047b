import { setImmediate as nextTurn } from 'node:timers/promises'
import { purposeOf } from '../../keys/certificates/certificate-purpose.js'
import { keyHashOfCertificate } from '../../keys/signatures/key-hash.js'
import type { Logger } from '../../values/logging/logger.js'
import type { MemberCertificate } from '../members.js'
import type { RevocationBook } from '../revocations/revocation-book.js'
import {
  formatRevocationList,
  MAX_REVOKED,
  type RevocationList,
  type RevokedCertificate
} from '../revocations/revocation-list.js'
import type { CertificateAuthority } from './certificate-authority.js'
import type { CertificateCursor, MemberRepository } from './member-repository.js'

const PAGE = 500
/** The time for which ended certificates stay on the list, for members whose clocks are behind. */
const REMEMBERED_MS = 24 * 3_600_000

export interface RevocationPublicationOptions {
  readonly repository: Pick<MemberRepository, 'member' | 'certificateState' | 'revokedCertificates'>
  readonly authority: Pick<CertificateAuthority, 'sign'>
  /** The root's own. */
  readonly book: RevocationBook
  readonly logger: Logger
  readonly now: () => number
}

/** The lines about tokens, which the list alone keeps. */
export type TokenLines = Pick<RevocationList, 'keys' | 'tokens'>

/** Changes the lines about tokens. @throws {Error} to change nothing */
export type EditTokenLines = (former: TokenLines) => TokenLines

const UNCHANGED: EditTokenLines = former => former

/**
 * Makes the list of revoked certificates what the members' store says, signed, with a higher number, where that has
 * changed. Only relays' are on it: nobody connects to a node, and who calls is known by the tree alone. One that has the
 * key of the member's present certificate is not: its holder could have it renewed.
 */
export class RevocationPublication {
  #running: Promise<void> = Promise.resolve()

  constructor(private readonly options: RevocationPublicationOptions) {}

  /** Publishes one list at a time, so that no two lists have one number. @throws {Error} when it cannot be kept */
  publish(): Promise<void> {
    return this.change(UNCHANGED)
  }

  /**
   * Changes the lines about tokens, and publishes.
   * @throws what `edit` throws: then nothing has changed
   * @throws {Error} when the list cannot be kept. It is in force all the same, and is written again until it is kept
   */
  change(edit: EditTokenLines): Promise<void> {
    return this.#next(async text => void (await this.options.book.take(text)), edit)
  }

  /** Makes one of a list of this CA that members had and the root had not, as it is in force: what the store says counts. */
  correct(): void {
    const { book, logger } = this.options
    this.#next(async text => {
      await book.take(text).catch((error: unknown) => {
        if (book.text !== text) throw error // else it is in force: the book tells that it is not kept, and tries again
      })
    }).catch((err: unknown) => {
      logger.error({ err }, 'cannot renew the list of revoked certificates; the next change tries again')
    })
  }

  #next(take: (text: string) => Promise<void>, edit = UNCHANGED): Promise<void> {
    const published = this.#running.then(async () => {
      let text: string | undefined
      do {
        text = await this.#text(edit)
        if (text !== undefined) await take(text)
      } while (text !== undefined && text !== this.options.book.text) // members had a newer one meanwhile
    })
    this.#running = published.catch(() => undefined) // its own caller hears of it
    return published
  }

  /** The list that is to be in force and kept; undefined while there is none. */
  async #text(edit: EditTokenLines): Promise<string | undefined> {
    const { book, authority, logger, now } = this.options
    const all = await this.#entries(book.list.entries)
    const entries = all.slice(0, MAX_REVOKED).sort((a, b) => (a.fingerprint < b.fingerprint ? -1 : 1))
    if (all.length > MAX_REVOKED) {
      logger.error(
        { leftOut: all.length - MAX_REVOKED },
        `list of revoked certificates is full (${MAX_REVOKED} entries): the certificates that end first are left out`
      )
    }
    const latest = book.list // in the turn in which the new one is signed
    const { keys, tokens } = edit(latest)
    if (isSame(entries, latest.entries) && keys === latest.keys && tokens === latest.tokens) {
      return latest.number > 0 ? book.text : undefined // it is written now where it could not be before
    }
    // a restored root, or one whose clock was set back, must not fall behind what its members have
    const number = Math.max(now(), latest.number + 1)
    return formatRevocationList({ number, entries, keys, tokens }, text => authority.sign(text))
  }

  /** The entries of the list, with the certificates that end last first. */
  async #entries(former: readonly RevokedCertificate[]): Promise<RevokedCertificate[]> {
    const { repository, now } = this.options
    const endedMs = now() - REMEMBERED_MS
    const entries: RevokedCertificate[] = []
    let cursor: CertificateCursor | undefined
    do {
      const page = await repository.revokedCertificates(endedMs, cursor, PAGE)
      for (const certificate of page.certificates) {
        if (await this.#isToBeTold(certificate)) entries.push(entryOf(certificate))
      }
      cursor = page.next
      await nextTurn()
    } while (cursor !== undefined)
    // a store that was made anew from the nodes list knows nothing of what was revoked before
    for (const entry of former) {
      const state = await repository.certificateState(Buffer.from(entry.fingerprint, 'hex'))
      const isUnknown = state === undefined
      if (isUnknown && entry.untilMs > endedMs) entries.push(entry)
    }
    return entries.sort((a, b) => b.untilMs - a.untilMs)
  }

  async #isToBeTold({ memberId, der }: MemberCertificate): Promise<boolean> {
    if (purposeOf(der) !== 'relay') return false
    const present = (await this.options.repository.member(memberId))?.tlsKeyHash
    return present?.equals(keyHashOfCertificate(der)) !== true
  }
}

function entryOf({ memberId, fingerprint, notAfterMs }: MemberCertificate): RevokedCertificate {
  return { id: memberId, fingerprint: fingerprint.toString('hex'), untilMs: notAfterMs }
}

function isSame(a: readonly RevokedCertificate[], b: readonly RevokedCertificate[]): boolean {
  return a.length === b.length && a.every(({ fingerprint }, at) => fingerprint === b[at]?.fingerprint)
}
