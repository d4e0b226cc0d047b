/** Whether `npm run test:long` runs: with the numbers that show rare faults, however long it takes. */
const IS_LONG = process.env.TREELINE_LONG === '1'

/** @returns `usual`, or `long` in `npm run test:long` */
export function orLong(usual: number, long: number): number {
  return IS_LONG ? long : usual
}
