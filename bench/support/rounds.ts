/** The middle one; of an even count the mean of the two in the middle. @throws {RangeError} when there is none */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const low = sorted[Math.floor((sorted.length - 1) / 2)]
  const high = sorted[Math.ceil((sorted.length - 1) / 2)]
  if (low === undefined || high === undefined) throw new RangeError('no median of nothing')
  return (low + high) / 2
}

export interface Medians {
  readonly value: number
  readonly reference: number
  /** The median of each round's own ratio: what slows the machine down for a while falls on both sides of one. */
  readonly ratio: number
}

/**
 * Measures both in turn, so that what else happens on the machine falls on both, and changes who is first.
 * @param count rounds that count; one more goes before, to warm up, unless `warmUp` is false
 */
export async function interleave(options: {
  readonly count: number
  readonly warmUp?: boolean
  readonly measure: (round: number) => Promise<number>
  readonly reference: (round: number) => Promise<number>
  readonly say: (text: string) => void
}): Promise<Medians> {
  const values: number[] = []
  const references: number[] = []
  for (let round = options.warmUp === false ? 1 : 0; round <= options.count; round += 1) {
    const isReferenceFirst = round % 2 === 0
    const early = isReferenceFirst ? await options.reference(round) : undefined
    const value = await options.measure(round)
    const reference = early ?? (await options.reference(round))
    options.say(
      `${round === 0 ? 'warm-up' : `round ${round}`}: ${value.toPrecision(4)} against ${reference.toPrecision(4)}`
    )
    if (round === 0) continue
    values.push(value)
    references.push(reference)
  }
  return {
    value: median(values),
    reference: median(references),
    ratio: median(values.map((value, index) => value / (references[index] ?? Number.NaN)))
  }
}

/** Seconds that `work` takes. */
export async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return (performance.now() - startedAt) / 1000
}
