/**
 * Counters and histograms as bare numbers, which become text only when somebody asks for it. prom-client, which would
 * do the same and more, is loaded for what it knows of the process, at the first look at `/metrics`.
 */

/** Upper bounds of all our histograms, in seconds. */
const BUCKETS_S = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60] as const

/** A counter, or several told apart by the value of one label. */
export class CounterFamily {
  readonly #counts = new Map<string, number>()

  constructor(
    private readonly name: string,
    private readonly help: string,
    private readonly label?: string
  ) {
    if (label === undefined) this.#counts.set('', 0)
  }

  /** @param value of the label */
  add(amount: number, value = ''): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + amount)
  }

  text(): string {
    const lines = header(this.name, this.help, 'counter')
    for (const [value, count] of this.#counts) {
      lines.push(`${this.name}${this.label === undefined ? '' : `{${label(this.label, value)}}`} ${count}`)
    }
    return lines.join('\n')
  }
}

/** How long something took, how often. */
export class Durations {
  /** Per bucket, the last for those beyond all bounds. */
  readonly #buckets = new Float64Array(BUCKETS_S.length + 1)
  #sumS = 0

  observe(durationMs: number): void {
    const seconds = durationMs / 1_000
    let bucket = 0
    while (bucket < BUCKETS_S.length && seconds > (BUCKETS_S[bucket] ?? 0)) bucket += 1
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1
    this.#sumS += seconds
  }

  get count(): number {
    return this.#buckets.reduce((sum, count) => sum + count, 0)
  }

  /** The lines of a histogram `name`. @param labels as they stand within the braces */
  lines(name: string, labels: string): string[] {
    let below = 0
    const buckets = BUCKETS_S.map((bound, index) => {
      below += this.#buckets[index] ?? 0
      return `${name}_bucket{${labels},le="${bound}"} ${below}`
    })
    return [
      ...buckets,
      `${name}_bucket{${labels},le="+Inf"} ${this.count}`,
      `${name}_sum{${labels}} ${this.#sumS}`,
      `${name}_count{${labels}} ${this.count}`
    ]
  }
}

/** The two lines before a family's own. */
export function header(name: string, help: string, type: 'counter' | 'gauge' | 'histogram'): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`]
}

/** `name="value"`, escaped as the text format wants it. */
export function label(name: string, value: string): string {
  return `${name}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`
}
