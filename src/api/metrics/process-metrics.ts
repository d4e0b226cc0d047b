import { collectDefaultMetrics, Registry } from 'prom-client'

/** The metrics of the process itself. Their library is loaded with this file, when somebody first looks. */
export function createProcessMetrics(): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  return registry
}
