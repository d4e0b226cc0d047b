import type { FastifyInstance } from 'fastify'

/** Upper bounds of the histogram, in seconds. */
const BUCKETS_S = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60] as const

/** What is counted per route, method and status. */
interface Series {
  readonly labels: string
  /** Requests per bucket, the last for those beyond all bounds. */
  readonly buckets: Float64Array
  sumS: number
}

/**
 * Counts requests by the route's pattern (never by its URL: ids would make a series each). It keeps bare numbers and
 * makes the text only when somebody asks, since the hottest route answers tens of thousands a second: prom-client's
 * own labels cost a twentieth of that.
 */
export class RequestMetrics {
  readonly #series = new Map<string, Map<number, Series>>()

  observe(route: string, method: string, status: number, durationMs: number): void {
    const series = this.#find(route, method, status)
    const seconds = durationMs / 1_000
    let bucket = 0
    while (bucket < BUCKETS_S.length && seconds > (BUCKETS_S[bucket] ?? 0)) bucket += 1
    series.buckets[bucket] = (series.buckets[bucket] ?? 0) + 1
    series.sumS += seconds
  }

  /** In the Prometheus text format. */
  text(): string {
    const counts = [
      '# HELP treeline_http_requests_total Requests answered',
      '# TYPE treeline_http_requests_total counter'
    ]
    const durations = [
      '# HELP treeline_http_request_duration_seconds From the request headers to the end of the answer',
      '# TYPE treeline_http_request_duration_seconds histogram'
    ]
    for (const statuses of this.#series.values()) {
      for (const { labels, buckets, sumS } of statuses.values()) {
        const total = buckets.reduce((sum, count) => sum + count, 0)
        counts.push(`treeline_http_requests_total{${labels}} ${total}`)
        let below = 0
        for (const [index, bound] of BUCKETS_S.entries()) {
          below += buckets[index] ?? 0
          durations.push(`treeline_http_request_duration_seconds_bucket{${labels},le="${bound}"} ${below}`)
        }
        durations.push(
          `treeline_http_request_duration_seconds_bucket{${labels},le="+Inf"} ${total}`,
          `treeline_http_request_duration_seconds_sum{${labels}} ${sumS}`,
          `treeline_http_request_duration_seconds_count{${labels}} ${total}`
        )
      }
    }
    return `${[...counts, ...durations].join('\n')}\n`
  }

  #find(route: string, method: string, status: number): Series {
    let statuses = this.#series.get(route)
    if (statuses === undefined) {
      statuses = new Map()
      this.#series.set(route, statuses)
    }
    const key = status * METHOD_SLOTS + methodSlot(method)
    let series = statuses.get(key)
    if (series === undefined) {
      const labels = `route="${route}",method="${method}",status="${status}"`
      series = { labels, buckets: new Float64Array(BUCKETS_S.length + 1), sumS: 0 }
      statuses.set(key, series)
    }
    return series
  }
}

const METHODS = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE']
const METHOD_SLOTS = METHODS.length + 1

/** Numbers are cheaper to look up than made-up strings. */
function methodSlot(method: string): number {
  return METHODS.indexOf(method) + 1
}

/** Observes every request that was answered. */
export function installRequestMetrics(app: FastifyInstance, metrics: RequestMetrics): void {
  app.addHook('onResponse', (request, reply, done) => {
    metrics.observe(request.routeOptions.url ?? 'none', request.method, reply.statusCode, reply.elapsedTime)
    done()
  })
}
