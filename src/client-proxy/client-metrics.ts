import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'

export interface ClientMetrics {
  /** @param status of the base URL's answer; undefined when it gave none */
  answered(status: number | undefined): void
  connected(): void
  text(): Promise<{ readonly type: string; readonly text: string }>
}

/** docs/client.md explains them. @param sources read when somebody looks */
export function createClientMetrics(sources: {
  readonly isConnected: () => boolean
  readonly activeRequests: () => number
  readonly lostLogLines: () => number
}): ClientMetrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const answers = new Counter({
    name: 'treeline_client_requests_total',
    help: 'Requests sent on to the base URL, by the class of the status of its answer',
    labelNames: ['status'],
    registers
  })
  const links = new Counter({ name: 'treeline_client_links_total', help: 'Links opened', registers })
  new Gauge({
    name: 'treeline_client_connected',
    help: 'Whether the link to the server stands',
    registers,
    collect() {
      this.set(sources.isConnected() ? 1 : 0)
    }
  })
  new Gauge({
    name: 'treeline_client_requests',
    help: 'Requests under way',
    registers,
    collect() {
      this.set(sources.activeRequests())
    }
  })
  new Counter({
    name: 'treeline_log_lines_lost_total',
    help: 'Lines of the log that could not be written',
    registers,
    collect() {
      this.reset()
      this.inc(sources.lostLogLines())
    }
  })
  return {
    answered: status => answers.inc({ status: status === undefined ? 'none' : `${Math.floor(status / 100)}xx` }),
    connected: () => links.inc(),
    text: async () => ({ type: registry.contentType, text: await registry.metrics() })
  }
}
