import { runProgram } from './child.js'

/** The requests to send; the generator runs in a process of its own. */
export interface LoadOptions {
  readonly port: number
  readonly method: 'GET' | 'HEAD' | 'PUT'
  /** Sends each request on a connection of its own. */
  readonly isOnce?: boolean
  /** `{n}` becomes the request's number, `{ttl}` the whole seconds that are left until `ttlUntilMs`. */
  readonly path: string
  readonly connections: number
  /** Ends after so many seconds, or after so many requests, or when `untilFile` is there. */
  readonly seconds?: number
  readonly count?: number
  readonly untilFile?: string
  /** Sends at this pace instead of one after the other. A request's time then begins when it was due. */
  readonly perSecond?: number
  readonly bodyFile?: string
  readonly ttlUntilMs?: number
}

export interface LoadResult {
  readonly requests: number
  readonly perSecond: number
  /** How many answers had each status. */
  readonly statuses: Readonly<Record<string, number>>
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** The part of one core that the generator used; near 1 it is the generator, not the server, that limits. */
  readonly generatorLoad: number
  /** The longest that the generator's own event loop was held up: its share of `maxMs`. */
  readonly generatorStallMs: number
}

/** Sends requests over keep-alive connections. @throws {Error} when a connection breaks */
export async function generateLoad(options: LoadOptions): Promise<LoadResult> {
  return (await runProgram('load-program', options)) as LoadResult
}

/** @throws {Error} unless every answer had this status */
export function requireStatus(result: LoadResult, status: number): void {
  if (result.statuses[String(status)] === result.requests) return
  throw new Error(`expected ${status} for all of ${result.requests} requests: ${JSON.stringify(result.statuses)}`)
}
