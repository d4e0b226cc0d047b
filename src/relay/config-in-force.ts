import type { Config } from '../config/config.js'

/** The configuration that the relay goes by now: a reload, or a policy server that moved, replaces it. */
export class ConfigInForce {
  #config: Config

  constructor(config: Config) {
    this.#config = config
  }

  /** Bound, so that parts can be given it as a function. */
  readonly get = (): Config => this.#config

  replace(config: Config): void {
    this.#config = config
  }
}
