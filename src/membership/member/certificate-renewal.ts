import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readTextFile } from '../../file-system/files/text-file.js'
import { purposeOf } from '../../keys/certificates/certificate-purpose.js'
import { fingerprint } from '../../keys/certificates/fingerprint.js'
import { readIdentity } from '../../tree/import/certificate-identity.js'
import { errorMessage } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logging/logger.js'
import { isoTime } from '../../values/time/iso-time.js'
import { makeRequest } from '../certificate-request.js'
import { isIssued } from '../certificates.js'
import type { JoinAnswer } from '../member-types.js'
import { isDue, type Life, renewalTime } from '../renewal-time.js'
import { writeAtomically } from '../setup/edit-files.js'
import { FILES } from '../setup/member-folder.js'
import { type CertificateOwner, readCertificate, readTreeCas, whyNotIssuedTo } from './issued-certificates.js'

/** Clocks are set, machines sleep: it is looked at least this often whether the time has come. */
const LOOK_EVERY_MS = 60_000
const RETRY = { shortestMs: 1_000, longestMs: 3_600_000, notValidMs: 60_000 } as const
const ASK_LIMIT_MS = 30_000
/** A new certificate is not used before the relays that must know it had time to hear of it. */
const LONGEST_SETTLING_MS = 60_000

export interface CertificateRenewalOptions {
  readonly certificateFile: string
  readonly keyFile: string
  /** The files of the CAs that this machine trusts, as they are now. That of `join` beside the certificate counts as well. */
  readonly caFiles: () => readonly string[]
  /** Asks the root, by way of the policy server. */
  readonly renew: (request: Buffer, signal: AbortSignal) => Promise<JoinAnswer>
  /**
   * Called with each answer, after a new certificate was put in place. Where it rejects, the root is asked again, and the
   * certificate counts as new until this has succeeded.
   */
  readonly onAnswer?: (answer: JoinAnswer, isNew: boolean) => Promise<void>
  /** Asks at least this often, for what else the answer says. @default never before the certificate is due */
  readonly askEveryMs?: number
  /** The wait before a certificate that could not be read is read again. @default a minute */
  readonly readAgainMs?: number
  readonly logger: Logger
  readonly now?: () => number
}

interface Held {
  readonly owner: CertificateOwner
  readonly certificate: X509Certificate
  readonly life: Life
}

/**
 * Renews a certificate that the root of the tree issued, in its file, when two thirds of its life are over. One that
 * comes from elsewhere is left alone.
 */
export class CertificateRenewal {
  readonly #stopping = new AbortController()
  readonly #now: () => number
  #ended: Promise<void> | undefined
  /** Whether the file may have a certificate that {@link CertificateRenewalOptions.onAnswer} has not put in force. */
  #isUnused = false
  /** The reason of the refusal that the log has. */
  #refusal: string | undefined

  constructor(private readonly options: CertificateRenewalOptions) {
    this.#now = options.now ?? Date.now
  }

  start(): void {
    this.#ended ??= this.#keep().catch((err: unknown) => {
      if (!this.#stopping.signal.aborted)
        this.options.logger.error({ err }, 'certificate renewal has stopped; restart to resume it')
    })
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#ended
  }

  /**
   * Asks the root for its present answer about this machine. A certificate in it that was issued since, as when a join
   * was broken off, is put in place. One that is given since the own one is due is fetched again.
   * @returns undefined for one whose certificate is not ours to renew
   */
  async ask(signal: AbortSignal): Promise<JoinAnswer | undefined> {
    const held = await this.#read()
    if (held === undefined) return undefined
    const key = createPrivateKey(await readTextFile(this.options.keyFile))
    const limit = AbortSignal.any([signal, AbortSignal.timeout(ASK_LIMIT_MS)])
    const answer = await this.options.renew(await makeRequest(held.owner.id, key), limit)
    // The answer is wanted for more than that: it says where the policy server is.
    await this.#takeMissed(held, key, answer).catch((error: unknown) => {
      const { certificateFile: file, logger } = this.options
      logger.error({ file, reason: errorMessage(error) }, 'cannot put a missed certificate in place; trying again')
    })
    return answer
  }

  /** Puts a certificate in place that was issued for this machine, and never came here: the own one may count no more. */
  async #takeMissed(held: Held, key: KeyObject, answer: JoinAnswer): Promise<void> {
    const { life } = held
    if (isDue(life, this.#now())) return // renewing it lets the new one settle first
    const given = await this.#readGiven(held, key, answer)
    if (given === undefined || Date.parse(given.validFrom) < life.notBeforeMs) return
    if (await this.#place(held, given)) await this.#use(answer)
  }

  async #keep(): Promise<void> {
    const { askEveryMs, logger } = this.options
    const { signal } = this.#stopping
    // at the start, if ever before it is due
    let askAtMs = askEveryMs === undefined ? Number.POSITIVE_INFINITY : this.#now()
    while (!signal.aborted) {
      const held = await this.#readAgain()
      if (held === undefined) return
      if (askEveryMs !== undefined) askAtMs = Math.min(askAtMs, this.#now() + askEveryMs) // the clock may be set back
      const dueAtMs = Math.min(renewalTime(held.life), askAtMs)
      if (this.#now() < dueAtMs && !isDue(held.life, this.#now()) && !this.#isUnused) {
        await sleep(Math.min(dueAtMs - this.#now(), LOOK_EVERY_MS), undefined, { signal, ref: false })
        continue
      }
      try {
        await this.#renew(held)
        if (askEveryMs !== undefined) askAtMs = this.#now() + askEveryMs
        const { life } = (await this.#read()) ?? held
        if (isDue(life, this.#now())) await this.#wait(life)
      } catch (error) {
        if (signal.aborted) return
        const reason = errorMessage(error)
        const details = { reason, until: isoTime(held.life.notAfterMs) }
        if (this.#isUnused) logger.error(details, 'cannot use the new certificate yet; trying again')
        else if (isDue(held.life, this.#now())) logger.error(details, 'cannot renew the certificate yet; trying again')
        else logger.info(details, 'cannot ask the root about this machine yet; trying again')
        await this.#wait(held.life)
      }
    }
  }

  /** The less of its life is left, the sooner it is tried again. */
  async #wait(life: Life): Promise<void> {
    const left = life.notAfterMs - this.#now()
    const ms = this.#isValid(life) ? Math.min(RETRY.longestMs, Math.max(RETRY.shortestMs, left / 10)) : RETRY.notValidMs
    await sleep(ms, undefined, { signal: this.#stopping.signal, ref: false })
  }

  #isValid({ notBeforeMs, notAfterMs }: Life): boolean {
    return this.#now() >= notBeforeMs && this.#now() < notAfterMs
  }

  /** Reads the certificate, whenever that can be done: its file may just be written by hand, or a disk may be away. */
  async #readAgain(): Promise<Held | undefined> {
    const { certificateFile, logger, readAgainMs = LOOK_EVERY_MS } = this.options
    for (let isTold = false; ; isTold = true) {
      try {
        return await this.#read()
      } catch (error) {
        const reason = errorMessage(error)
        if (!isTold) logger.error({ file: certificateFile, reason }, 'cannot read the own certificate; trying again')
        await sleep(readAgainMs, undefined, { signal: this.#stopping.signal, ref: false })
      }
    }
  }

  /** @returns undefined for one that is not ours to renew */
  async #read(): Promise<Held | undefined> {
    const certificate = new X509Certificate(await readTextFile(this.options.certificateFile))
    const [id] = readIdentity(certificate.raw).userIds
    const purpose = purposeOf(certificate.raw)
    if (id === undefined || purpose === undefined || !isIssued(certificate)) return undefined
    const life = { notBeforeMs: Date.parse(certificate.validFrom), notAfterMs: Date.parse(certificate.validTo) }
    return { owner: { id, purpose }, certificate, life }
  }

  async #renew(held: Held): Promise<void> {
    const { keyFile, renew } = this.options
    const { owner, life } = held
    const { signal } = this.#stopping
    const key = createPrivateKey(await readTextFile(keyFile))
    const answer = await renew(await makeRequest(owner.id, key), signal)
    const given = await this.#readGiven(held, key, answer)
    if (given !== undefined) {
      const settlingMs = Math.min(LONGEST_SETTLING_MS, (life.notAfterMs - life.notBeforeMs) / 50)
      // whoever shows one that is not valid is refused anyway
      if (this.#isValid(life)) await sleep(settlingMs, undefined, { signal, ref: false })
      await this.#place(held, given)
    }
    await this.#use(answer)
  }

  async #use(answer: JoinAnswer): Promise<void> {
    await this.options.onAnswer?.(answer, this.#isUnused)
    this.#isUnused = false
  }

  /**
   * Reads the certificate in an answer. The answer passed relays, and each of them could make a certificate for the key
   * of this machine, which nobody would accept and which could not be renewed: it is refused, and logged.
   * @returns undefined for the one that is here, and for one that must not take its place
   */
  async #readGiven(held: Held, key: KeyObject, answer: JoinAnswer): Promise<X509Certificate | undefined> {
    const { caFiles, certificateFile, logger } = this.options
    const given = readCertificate(answer.certificate)
    if (given?.fingerprint256 === held.certificate.fingerprint256) return undefined
    const cas = await readTreeCas([...caFiles(), join(dirname(certificateFile), FILES.ca)])
    const reason = given === undefined ? 'it is no certificate' : this.#whyRefused(held, key, given, cas)
    if (given === undefined || reason !== undefined) {
      const details = { id: held.owner.id, fingerprint: given && fingerprint(given.raw), reason }
      if (reason !== this.#refusal)
        logger.error(details, 'refused the certificate that the policy server gave; the former one stays')
    }
    this.#refusal = reason
    return reason === undefined ? given : undefined
  }

  #whyRefused(
    { owner, life }: Held,
    key: KeyObject,
    given: X509Certificate,
    cas: readonly X509Certificate[]
  ): string | undefined {
    const reason = whyNotIssuedTo(owner, given, cas)
    if (reason !== undefined) return reason
    if (!given.checkPrivateKey(key)) return 'it is for another key'
    // the root may have been given another lifetime since: a later one may end earlier
    const isFormer = Date.parse(given.validFrom) <= life.notBeforeMs && Date.parse(given.validTo) <= life.notAfterMs
    return isFormer && this.#now() >= life.notBeforeMs ? 'it is older than the one that is here' : undefined
  }

  /** @returns false for one that nobody would accept yet: it was issued while a clock was ahead, that of the root or ours */
  async #place({ owner: { id } }: Held, given: X509Certificate): Promise<boolean> {
    const { certificateFile, logger } = this.options
    const details = { id, serial: given.serialNumber, until: isoTime(Date.parse(given.validTo)) }
    const notBeforeMs = Date.parse(given.validFrom)
    if (this.#now() < notBeforeMs) {
      const from = isoTime(notBeforeMs)
      logger.warn({ ...details, from }, 'new certificate is not valid yet; the former one stays: check the clocks')
      return false
    }
    this.#isUnused = true // before it is written: a write that fails late may have put it in place
    await writeAtomically(certificateFile, given.toString()) // nothing else that the answer has after it
    logger.info(details, 'certificate renewed')
    return true
  }
}
