import type { LinkAdministration } from '../../links/upper/link-administration.js'
import type { LinkKind, LinkObserver } from '../../links/upper/link-observer.js'
import { CounterFamily, Durations, header, label } from './prometheus-text.js'

const ROUND_TRIP = 'treeline_link_round_trip_seconds'

/** Metrics of links and of the bytes that go over them. */
export class LinkMetrics implements LinkObserver {
  readonly #opened = new CounterFamily('treeline_links_opened_total', 'Links opened', 'kind')
  readonly #closed = new CounterFamily('treeline_links_closed_total', 'Links closed, replaced ones too', 'kind')
  readonly #replaced = new CounterFamily('treeline_links_replaced_total', 'Links replaced by a newer one', 'kind')
  readonly #refused = new CounterFamily('treeline_links_refused_total', 'Links and lanes refused')
  readonly #roundTrips = new Map<LinkKind, Durations>()

  opened(kind: LinkKind): void {
    this.#opened.add(1, kind)
  }

  closed(kind: LinkKind): void {
    this.#closed.add(1, kind)
  }

  replaced(kind: LinkKind): void {
    this.#replaced.add(1, kind)
  }

  refused(): void {
    this.#refused.add(1)
  }

  answeredPing(kind: LinkKind, rttMs: number): void {
    let durations = this.#roundTrips.get(kind)
    if (durations === undefined) {
      durations = new Durations()
      this.#roundTrips.set(kind, durations)
    }
    durations.observe(rttMs)
  }

  text(): string {
    const lines = [this.#opened, this.#closed, this.#replaced, this.#refused].map(family => family.text())
    lines.push(...header(ROUND_TRIP, 'Answered pings of links', 'histogram'))
    for (const [kind, durations] of this.#roundTrips) lines.push(...durations.lines(ROUND_TRIP, label('kind', kind)))
    return lines.join('\n')
  }
}

/**
 * Gauges of links, read at each scrape.
 * @param isConnected whether this relay's own link stands; undefined: it holds none
 */
export function linkGauges(links: LinkAdministration, isConnected: boolean | undefined): string[] {
  const { streams, lanes } = links.load()
  const { received, sent } = links.bytes()
  return [
    ...header('treeline_links', 'Links that stand', 'gauge'),
    ...Object.entries(links.counts()).map(([kind, count]) => `treeline_links{${label('kind', kind)}} ${count}`),
    ...header('treeline_link_streams', 'Requests under way over links', 'gauge'),
    `treeline_link_streams ${streams}`,
    ...header('treeline_link_lanes', 'Lanes of links', 'gauge'),
    `treeline_link_lanes ${lanes}`,
    ...header('treeline_link_bytes_total', 'Bytes over links and their lanes', 'counter'),
    `treeline_link_bytes_total{direction="received"} ${received}`,
    `treeline_link_bytes_total{direction="sent"} ${sent}`,
    ...header('treeline_own_link_connected', 'Whether the link to the policy server stands', 'gauge'),
    ...(isConnected === undefined ? [] : [`treeline_own_link_connected ${isConnected ? 1 : 0}`])
  ]
}
