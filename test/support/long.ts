/** How long what is repeated at random goes on. Set, it also asks for the numbers that show rare faults. */
export const MINUTES = process.env.TREELINE_MINUTES === undefined ? undefined : Number(process.env.TREELINE_MINUTES)

/** @returns `usual`, or `long` where `TREELINE_MINUTES` is set, however long that takes */
export function orLong(usual: number, long: number): number {
  return MINUTES === undefined ? usual : long
}
