import cron from 'node-cron'

/** When a periodic job is to run: every so often, or at the times of a cron expression. */
export type Frequency = { readonly everyMs: number } | { readonly cron: string }

/** A clock that may step is looked at this often; timers themselves go by one that does not. */
const LOOK_EVERY_MS = 60_000

/** Says, each time it is asked, whether a job is due, and how long to wait before asking again. */
export interface Schedule {
  look(): { readonly isDue: boolean; readonly waitMs: number }
}

/** @param now ms of a clock that only goes forward */
export function everySoOften(everyMs: number, now: () => number): Schedule {
  let dueAtMs = now() + everyMs
  return {
    look() {
      const isDue = now() >= dueAtMs
      if (isDue) dueAtMs = now() + everyMs
      return { isDue, waitMs: Math.min(dueAtMs - now(), LOOK_EVERY_MS) }
    }
  }
}

/**
 * The times of a cron expression, each found from the time that it is then. So times that a step of the clock jumps over
 * are made up for once, and not one by one; after a step back the job waits for no time that was planned before it.
 * @param next the first time after now, in ms since 1970
 * @param now ms since 1970
 */
export function atTimes(next: () => number, now: () => number): Schedule {
  let dueAtMs = next()
  return {
    look() {
      const isDue = now() >= dueAtMs
      dueAtMs = next()
      return { isDue, waitMs: Math.min(Math.max(1, dueAtMs - now()), LOOK_EVERY_MS) }
    }
  }
}

export function scheduleOf(frequency: Frequency): Schedule {
  if (!('cron' in frequency)) return everySoOften(frequency.everyMs, () => performance.now())
  const task = cron.createTask(frequency.cron, () => undefined) // never started: it only knows the times
  return atTimes(() => task.getNextRuns(1)[0]?.getTime() ?? Number.POSITIVE_INFINITY, Date.now)
}
