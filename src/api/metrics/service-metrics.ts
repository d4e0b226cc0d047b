import type { ServedRequest } from '../../services/entry/traffic/served-request.js'
import type { ServiceTraffic } from '../../services/entry/traffic/service-traffic.js'
import { BusiestNames } from './busiest-names.js'
import { Durations, header, label } from './prometheus-text.js'

const FIRST_BYTE = 'treeline_service_first_byte_seconds'
/** Labels of a request without a key or a hop. */
const NONE = 'none'

/** Requests by a name and the class of their status. */
class NamedRequests {
  readonly #counts = new Map<string, Map<string, number>>()
  readonly #busiest = new BusiestNames(name => this.#counts.delete(name))

  constructor(
    private readonly name: string,
    private readonly help: string,
    private readonly label: string
  ) {}

  add(name: string | undefined, status: string): void {
    const shown = name === undefined ? NONE : this.#busiest.count(name)
    const ofName = this.#counts.get(shown) ?? new Map<string, number>()
    this.#counts.set(shown, ofName.set(status, (ofName.get(status) ?? 0) + 1))
  }

  lines(): string[] {
    const lines = header(this.name, this.help, 'counter')
    for (const [name, counts] of this.#counts) {
      for (const [status, count] of counts) {
        lines.push(`${this.name}{${label(this.label, name)},${label('status', status)}} ${count}`)
      }
    }
    return lines
  }
}

/** Metrics of the requests that callers of services made at this relay. */
export class ServiceMetrics {
  readonly #ofKeys = new NamedRequests('treeline_service_requests_total', 'Requests to services, by key', 'key')
  readonly #ofHops = new NamedRequests('treeline_service_hop_requests_total', 'The same, by the first hop', 'hop')
  readonly #firstBytes = new Durations()

  served({ key, hop, status, firstByteMs }: ServedRequest): void {
    const statusClass = status === undefined ? NONE : `${Math.floor(status / 100)}xx`
    this.#ofKeys.add(hop === undefined ? undefined : key, statusClass) // anybody may ask for keys that nobody has
    this.#ofHops.add(hop, statusClass)
    if (firstByteMs !== undefined) this.#firstBytes.observe(firstByteMs)
  }

  text(): string {
    const lines = [...this.#ofKeys.lines(), ...this.#ofHops.lines()]
    lines.push(...header(FIRST_BYTE, 'Requests to services, until their answer began', 'histogram'))
    return [...lines, ...this.#firstBytes.lines(FIRST_BYTE, label('hop', 'any'))].join('\n')
  }
}

/** Gauges of the requests to services, read at each scrape. */
export function serviceGauges({ open, upgrades, bytes }: ServiceTraffic): string[] {
  return [
    ...header('treeline_service_streams', 'Requests to services under way', 'gauge'),
    `treeline_service_streams ${open}`,
    ...header('treeline_service_upgrades', 'Those of them that are upgraded connections', 'gauge'),
    `treeline_service_upgrades ${upgrades}`,
    ...header('treeline_service_bytes_total', 'Bytes of bodies, and of upgraded connections', 'counter'),
    `treeline_service_bytes_total{direction="received"} ${bytes.received}`,
    `treeline_service_bytes_total{direction="sent"} ${bytes.sent}`
  ]
}
