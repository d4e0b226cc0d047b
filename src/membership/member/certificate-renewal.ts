import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { readIdentity } from '../../tree/import/certificate-identity.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { readText } from '../../values/files/text-file.js'
import type { Logger } from '../../values/logging/logger.js'
import { isoTime } from '../../values/time/iso-time.js'
import { makeRequest } from '../certificate-request.js'
import { isIssued } from '../certificates.js'
import { writeAtomically } from '../edit-files.js'
import type { JoinAnswer } from '../member-types.js'
import { isDue, type Life, renewalTime } from '../renewal-time.js'

/** Clocks are set, machines sleep: it is looked at least this often whether the time has come. */
const LOOK_EVERY_MS = 60_000
const RETRY = { shortestMs: 1_000, longestMs: 3_600_000, notValidMs: 60_000 } as const
const ASK_LIMIT_MS = 30_000
/** A new certificate is not used before the relays that must know it had time to hear of it. */
const LONGEST_SETTLING_MS = 60_000

export interface CertificateRenewalOptions {
  readonly certificateFile: string
  readonly keyFile: string
  /** Asks the root, by way of the policy server. */
  readonly renew: (request: Buffer, signal: AbortSignal) => Promise<JoinAnswer>
  /** Called with each answer, after a new certificate was put in place. */
  readonly onAnswer?: (answer: JoinAnswer, isNew: boolean) => Promise<void>
  /** Asks at least this often, for what else the answer says. @default never before the certificate is due */
  readonly askEveryMs?: number
  /** The wait before a certificate that could not be read is read again. @default a minute */
  readonly readAgainMs?: number
  readonly logger: Logger
  readonly now?: () => number
}

interface Held {
  readonly id: string
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
    const key = createPrivateKey(await readText(this.options.keyFile))
    const limit = AbortSignal.any([signal, AbortSignal.timeout(ASK_LIMIT_MS)])
    const answer = await this.options.renew(await makeRequest(held.id, key), limit)
    await this.#takeMissed(held, key, answer)
    return answer
  }

  /** Puts a certificate in place that was issued for this machine, and never came here: the own one may count no more. */
  async #takeMissed({ id, certificate, life }: Held, key: KeyObject, answer: JoinAnswer): Promise<void> {
    if (isDue(life, this.#now())) return // renewing it lets the new one settle first
    const given = new X509Certificate(answer.certificate)
    const isLater = Date.parse(given.validFrom) >= life.notBeforeMs
    if (given.fingerprint256 === certificate.fingerprint256 || !isLater || !given.checkPrivateKey(key)) return
    if (await this.#place(id, given, answer.certificate)) await this.options.onAnswer?.(answer, true)
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
      if (this.#now() < dueAtMs && !isDue(held.life, this.#now())) {
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
        if (isDue(held.life, this.#now())) logger.error(details, 'cannot renew the certificate yet; trying again')
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
    const certificate = new X509Certificate(await readText(this.options.certificateFile))
    const [id] = readIdentity(certificate.raw).userIds
    if (id === undefined || !isIssued(certificate)) return undefined
    const life = { notBeforeMs: Date.parse(certificate.validFrom), notAfterMs: Date.parse(certificate.validTo) }
    return { id, certificate, life }
  }

  async #renew({ id, certificate, life }: Held): Promise<void> {
    const { keyFile, renew, onAnswer } = this.options
    const { signal } = this.#stopping
    const key = createPrivateKey(await readText(keyFile))
    const answer = await renew(await makeRequest(id, key), signal)
    const given = new X509Certificate(answer.certificate)
    let isPlaced = false
    if (given.fingerprint256 !== certificate.fingerprint256) {
      if (!given.checkPrivateKey(key)) throw new Error('the certificate that was given is for another key')
      const settlingMs = Math.min(LONGEST_SETTLING_MS, (life.notAfterMs - life.notBeforeMs) / 50)
      // whoever shows one that is not valid is refused anyway
      if (this.#isValid(life)) await sleep(settlingMs, undefined, { signal, ref: false })
      isPlaced = await this.#place(id, given, answer.certificate)
    }
    await onAnswer?.(answer, isPlaced)
  }

  /** @returns false for one that nobody would accept yet: it was issued while a clock was ahead, that of the root or ours */
  async #place(id: string, given: X509Certificate, pem: string): Promise<boolean> {
    const { certificateFile, logger } = this.options
    const details = { id, serial: given.serialNumber, until: isoTime(Date.parse(given.validTo)) }
    const notBeforeMs = Date.parse(given.validFrom)
    if (this.#now() < notBeforeMs) {
      const from = isoTime(notBeforeMs)
      logger.warn({ ...details, from }, 'new certificate is not valid yet; the former one stays: check the clocks')
      return false
    }
    await writeAtomically(certificateFile, pem)
    logger.info(details, 'certificate renewed')
    return true
  }
}
