import type { TestContext } from 'node:test'

/** Timers that end when the test says so. */
export interface HeldTimers {
  /** How many were begun so far. */
  readonly begun: number
  /** How many are there now. */
  readonly count: number
  /** Ends all that are there now. */
  fire(): void
}

/**
 * Holds each timer that the program begins from now on for a time that `isHeld` picks out.
 * @param isHeld of a time in ms
 */
export function holdTimers(t: TestContext, isHeld: (ms: number) => boolean): HeldTimers {
  const actions = new Map<NodeJS.Timeout, () => void>()
  let begun = 0
  const { setTimeout: begin, clearTimeout: end } = globalThis
  t.mock.method(globalThis, 'setTimeout', (action: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) => {
    if (!isHeld(ms)) return begin(action, ms, ...args)
    begun += 1
    const timer = begin(() => undefined, 0)
    actions.set(timer, () => action(...args))
    return timer
  })
  t.mock.method(globalThis, 'clearTimeout', (timer: NodeJS.Timeout) => {
    actions.delete(timer)
    end(timer)
  })
  return {
    get begun() {
      return begun
    },
    get count() {
      return actions.size
    },
    fire: () => {
      const due = [...actions.values()]
      actions.clear()
      for (const action of due) action()
    }
  }
}
