import { RelayError } from '../values/failures/relay-error.js'
import type { RunRepository } from './records/run-repository.js'
import type { Run } from './run-types.js'

/** Orders that callers name: one that is given again gives the run that it began. No clock has a part in it. */
export class OrderedRuns {
  readonly #underWay = new Map<string, Promise<Run>>()

  constructor(
    private readonly repository: RunRepository,
    private readonly findRun: (id: string) => Promise<Run | undefined>
  ) {}

  /**
   * @param begin begins the run, and records it under `orderKey`
   * @throws {RelayError} CONFLICT when the run that the order began has been removed since
   */
  start(orderKey: string, begin: () => Promise<Run>): Promise<Run> {
    const underWay = this.#underWay.get(orderKey)
    if (underWay !== undefined) return underWay
    const run = this.#findOrBegin(orderKey, begin).finally(() => this.#underWay.delete(orderKey))
    this.#underWay.set(orderKey, run)
    return run
  }

  async #findOrBegin(orderKey: string, begin: () => Promise<Run>): Promise<Run> {
    const id = await this.repository.orderedRunId(orderKey)
    if (id === undefined) return begin()
    const run = await this.findRun(id)
    if (run === undefined) {
      throw new RelayError('CONFLICT', `run ${id}, which this order began, has been removed; give a new order`)
    }
    return run
  }
}
