/** Random numbers from 0 up to 1 that a seed gives again (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The seed of a test: of the environment (`TREELINE_SEED`), to repeat a failure, else a new one. */
export function chooseSeed(): number {
  return Number(process.env.TREELINE_SEED ?? Math.floor(Math.random() * 2 ** 32))
}
