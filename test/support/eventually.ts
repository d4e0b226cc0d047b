import { setTimeout as sleep } from 'node:timers/promises'

const LOOK_EVERY_MS = 20
/** Only a test that hangs gets there. */
const GIVE_UP_AFTER_MS = 30_000

/**
 * What `look` gives, as soon as that is neither undefined nor false.
 * @param what for the message when it never comes
 */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false
): Promise<T> {
  const end = Date.now() + GIVE_UP_AFTER_MS
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (Date.now() > end) throw new Error(`never came: ${what}`)
    await sleep(LOOK_EVERY_MS)
  }
}
