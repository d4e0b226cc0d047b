import { OutputLimit } from '../execution/output-limit.js'
import type { Output, RunProgress } from '../progress/run-progress.js'

const MAX_NOTE_LENGTH = 200

/** The output of a sub-relay, passed on within the bounds that hold for our own commands. */
export class ForwardedOutput {
  readonly #limits = new Map<string | undefined, OutputLimit>()

  /**
   * @param maxNodeBytes per node
   * @param nodeCount how many share the bound of what comes without a node (from a relay that only speaks text)
   */
  constructor(
    private readonly progress: RunProgress,
    private readonly maxNodeBytes: number,
    private readonly nodeCount: number
  ) {}

  pass({ node, relay = '', stream = 'stdout', data, message }: Output): void {
    const { kept, dropped } = this.#limitOf(node).take(data)
    if (kept !== '') {
      this.progress.output({
        ...(node === undefined ? {} : { node }),
        relay,
        stream,
        data: kept,
        ...(message === undefined ? {} : { message: message.slice(0, MAX_NOTE_LENGTH) })
      })
    }
    if (dropped !== undefined) this.progress.error(relay, dropped, node)
  }

  /** Forgets `node`, of which nothing more will come. */
  forget(node: string): void {
    this.#limits.delete(node)
  }

  #limitOf(node: string | undefined): OutputLimit {
    let limit = this.#limits.get(node)
    if (limit === undefined) {
      limit = new OutputLimit(this.maxNodeBytes, node === undefined ? Math.max(1, this.nodeCount) : 1)
      this.#limits.set(node, limit)
    }
    return limit
  }
}
