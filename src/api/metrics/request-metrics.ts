import type { AfterAnswer } from '../answers/ends/after-answer.js'
import { Durations, header, label } from './prometheus-text.js'

interface Series {
  readonly labels: string
  readonly durations: Durations
}

const COUNT = 'treeline_http_requests_total'
const DURATION = 'treeline_http_request_duration_seconds'

const METHODS = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE']
const METHOD_SLOTS = METHODS.length + 1

/** Requests by the route's pattern, never by the URL: ids would make a series each. */
export class RequestMetrics {
  readonly #series = new Map<string, Map<number, Series>>()

  observe(route: string, method: string, status: number, durationMs: number): void {
    this.#find(route, method, status).durations.observe(durationMs)
  }

  /** The metrics in the Prometheus text format. */
  text(): string {
    const all = [...this.#series.values()].flatMap(statuses => [...statuses.values()])
    return [
      ...header(COUNT, 'Requests answered', 'counter'),
      ...all.map(({ labels, durations }) => `${COUNT}{${labels}} ${durations.count}`),
      ...header(DURATION, 'From the request headers to the end of the answer', 'histogram'),
      ...all.flatMap(({ labels, durations }) => durations.lines(DURATION, labels))
    ].join('\n')
  }

  #find(route: string, method: string, status: number): Series {
    let statuses = this.#series.get(route)
    if (statuses === undefined) {
      statuses = new Map()
      this.#series.set(route, statuses)
    }
    // A number is cheaper to look up than a text made for the purpose.
    const key = status * METHOD_SLOTS + METHODS.indexOf(method) + 1
    let series = statuses.get(key)
    if (series === undefined) {
      const labels = [label('route', route), label('method', method), label('status', String(status))].join(',')
      series = { labels, durations: new Durations() }
      statuses.set(key, series)
    }
    return series
  }
}

/** Observes every request that was answered. */
export function createRequestObserver(metrics: RequestMetrics): AfterAnswer {
  return (request, reply) => {
    const durationMs = performance.now() - request.begunAt
    metrics.observe(request.routeOptions.url ?? 'none', request.method, reply.raw.statusCode, durationMs)
  }
}
