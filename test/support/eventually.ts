import { setTimeout as sleep } from 'node:timers/promises'

const LOOK_EVERY_MS = 20
/**
 * Only a test that hangs gets to both. Looks are counted beside the time because they follow the machine: where it is slow or busy, each
 * takes longer, and so does what is waited for.
 */
const GIVE_UP_AFTER = { ms: 30_000, looks: 1_500 } as const

/**
 * Waits until `look` gives something other than undefined and false, and returns it.
 * @param what for the message when it never comes
 */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false
): Promise<T> {
  const beganMs = performance.now()
  for (let looks = 1; ; looks += 1) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    const tookMs = performance.now() - beganMs
    if (tookMs > GIVE_UP_AFTER.ms && looks > GIVE_UP_AFTER.looks) throw new Error(`never came: ${what}`)
    await sleep(LOOK_EVERY_MS)
  }
}
