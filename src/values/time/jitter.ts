/** A wait of half to all of `ms`, so that many who failed at the same moment do not come back at the same moment. @param random from 0 up to 1 */
export function jittered(ms: number, random: () => number = Math.random): number {
  return ms * (0.5 + random() / 2)
}
