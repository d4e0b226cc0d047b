import type { Hop } from '../../../hops/hop.js'
import type { NodeTable } from '../../progress/node-table.js'

export interface LegacyDispatchRecordOptions {
  readonly hop: Hop
  readonly nodes: readonly string[]
  readonly table: NodeTable
  readonly signal: AbortSignal
}

/**
 * An order of a run that waits, to a relay that may only speak text. Such a relay does not know run ids: asked again
 * after a restart of this one it would do all of it again. So it is on disk that it has the nodes before it gets them,
 * and what became of them is then not known. Other relays cost no commit: they take a run id once only.
 */
export class LegacyDispatchRecord {
  #isRecorded = false

  constructor(private readonly options: LegacyDispatchRecordOptions) {}

  /**
   * Asks the relay first whether it is there, and what it is, so that a crash while it is away loses nothing.
   * @returns why the order cannot be given now; what is cancelled meanwhile is left to whoever sends it
   */
  async prepare(): Promise<string | undefined> {
    const { hop, signal } = this.options
    if (hop.dialect.recognizesRunIds) return undefined
    try {
      const answer = await hop.request({ method: 'GET', path: 'system/info', headers: {}, signal })
      if (answer.kind !== 'unreachable') answer.body.destroy()
      else if (!answer.sent) return `${hop.id} cannot be reached: ${answer.reason}`
      if (!hop.dialect.recognizesRunIds) await this.#record()
      if (signal.aborted) await this.takeBack()
    } catch (error) {
      if (!signal.aborted) return `${hop.id} is not asked, since that cannot be recorded: ${String(error)}`
    }
    return undefined
  }

  /** The relay has the nodes, and speaks text after all. */
  async recordLate(): Promise<void> {
    if (this.#isRecorded) return
    try {
      await this.#record()
    } catch {
      // it is at it, and its answer is worth more; the table complains of the database with the next outcome
    }
  }

  /** @throws when the database cannot take it */
  async #record(): Promise<void> {
    const { table, nodes } = this.options
    await table.recordDispatch(nodes)
    this.#isRecorded = true
  }

  /** The order did not get there: a later process may give it. */
  async takeBack(): Promise<void> {
    if (!this.#isRecorded) return
    const { table, nodes } = this.options
    await table.recordNotDispatched(nodes)
    this.#isRecorded = false
  }
}
