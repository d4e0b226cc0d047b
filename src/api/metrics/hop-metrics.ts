import { Durations, header, label } from './prometheus-text.js'

const NAME = 'treeline_hop_duration_seconds'

/** Requests to neighbours: as many series as there are neighbours and outcomes. */
export class HopMetrics {
  readonly #series = new Map<string, Durations>()

  observe(hop: string, outcome: string, durationMs: number): void {
    const labels = `${label('hop', hop)},${label('outcome', outcome)}`
    let durations = this.#series.get(labels)
    if (durations === undefined) {
      durations = new Durations()
      this.#series.set(labels, durations)
    }
    durations.observe(durationMs)
  }

  text(): string {
    const lines = header(NAME, 'Requests to neighbours, until the answer began', 'histogram')
    for (const [labels, durations] of this.#series) lines.push(...durations.lines(NAME, labels))
    return lines.join('\n')
  }
}
