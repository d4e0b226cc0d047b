import { replaceUpstreamHost, type UpstreamSection } from '../../config/upstream-host.js'
import { HTTPS_PORT } from '../../network/host-and-port.js'
import { errorMessage } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logging/logger.js'
import type { JoinAnswer } from '../member-types.js'
import { formatAddress } from '../setup/config-templates.js'
import { editFile } from '../setup/edit-files.js'

/** The address at which the policy server takes connections. */
export interface UpperAddress {
  readonly host: string
  readonly port: number
  /** The node id of the policy server, where it is known. */
  readonly nodeId?: string | undefined
}

export interface PolicyServerFailoverOptions {
  /** The address in force. */
  readonly configured: () => UpperAddress
  /** Asks the root, by way of the present policy server. @returns undefined where it knows nothing of this machine */
  readonly ask: (signal: AbortSignal) => Promise<JoinAnswer | undefined>
  /** Puts another address in force, and keeps it. Does not reject. */
  readonly adopt: (address: UpperAddress, answer: JoinAnswer) => Promise<void>
  readonly logger: Logger
  readonly now?: () => number
}

/** A refusal may have other reasons, such as a tree that is not up to date yet. */
const ASK_EVERY_MS = 15_000

/**
 * Follows this machine to another policy server. When the present one refuses its link, the root is asked where it
 * belongs; the address that it names is tried in turn with the present one, and adopted once a link stands there.
 */
export class PolicyServerFailover {
  readonly #now: () => number
  #candidate: { readonly address: UpperAddress; readonly answer: JoinAnswer } | undefined
  #isAtCandidate = false
  #askedAtMs = Number.NEGATIVE_INFINITY
  /** The problem that was logged last. */
  #problem: string | undefined

  constructor(private readonly options: PolicyServerFailoverOptions) {
    this.#now = options.now ?? (() => performance.now())
  }

  /** The address of the standing link, or of the next attempt. */
  get address(): UpperAddress {
    return (this.#isAtCandidate ? this.#candidate?.address : undefined) ?? this.options.configured()
  }

  /** Called when a link has been opened. */
  async opened(): Promise<void> {
    const candidate = this.#isAtCandidate ? this.#candidate : undefined
    if (candidate !== undefined) {
      this.options.logger.info({ ...candidate.address }, 'moved to another policy server')
      await this.options.adopt(candidate.address, candidate.answer)
    }
    this.#candidate = undefined
    this.#isAtCandidate = false
    this.#askedAtMs = Number.NEGATIVE_INFINITY
  }

  /**
   * Called when there was no link, or is none any more.
   * @param refusedBy id of the relay that refused it
   * @returns whether there is an address now that was not there before
   */
  async ended(refusedBy: string | undefined, signal: AbortSignal): Promise<boolean> {
    const before = this.#candidate
    if (!this.#isAtCandidate && refusedBy !== undefined && this.#now() - this.#askedAtMs >= ASK_EVERY_MS) {
      this.#askedAtMs = this.#now()
      await this.#ask(refusedBy, signal)
    }
    this.#isAtCandidate = !this.#isAtCandidate && this.#candidate !== undefined
    return before === undefined && this.#candidate !== undefined
  }

  async #ask(refusedBy: string, signal: AbortSignal): Promise<void> {
    const { ask, logger } = this.options
    try {
      const answer = await ask(signal)
      this.#problem = undefined
      if (answer === undefined) return
      const { id, hostname: host, port = HTTPS_PORT } = answer.policyServer
      this.#candidate = id === refusedBy ? undefined : { address: { host, port, nodeId: id }, answer }
      if (id !== refusedBy) logger.info({ policyServer: id, host, port }, 'the root names another policy server')
    } catch (error) {
      if (signal.aborted) return
      const reason = errorMessage(error)
      if (reason === this.#problem) return
      this.#problem = reason
      logger.warn({ reason }, 'policy server refuses this machine, and the root names no other one')
    }
  }
}

/**
 * Writes the address of the policy server into a configuration file, at once and durably; the rest of it stays.
 * Failing that, it logs what is to be changed by hand.
 */
export async function keepUpstreamHost(
  file: string,
  section: UpstreamSection,
  { host: hostname, port, nodeId }: UpperAddress,
  logger: Logger
): Promise<void> {
  const host = formatAddress({ hostname, port })
  try {
    await editFile(file, former => replaceUpstreamHost(former, section, { host, nodeId }))
  } catch (error) {
    const reason = errorMessage(error)
    logger.error(
      { file, host, nodeId, reason },
      `cannot write the new policy server to the configuration: set host and node_id in [${section}] by hand`
    )
  }
}
