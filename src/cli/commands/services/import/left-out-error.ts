import type { YamlMap } from './yaml-map.js'

/** A service cannot be one of ours. */
export class LeftOutError extends Error {
  override name = 'LeftOutError'

  /** @param key the place in the map; without it, the map itself */
  constructor(
    why: string,
    readonly at: YamlMap,
    readonly key?: string
  ) {
    super(why)
  }
}
