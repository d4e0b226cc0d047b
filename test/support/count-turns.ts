import type { TestContext } from 'node:test'

/** Counts the turns of the event loop until the test ends. */
export function countTurns(t: TestContext): { readonly turn: number } {
  const counter = { turn: 0 }
  let isOver = false
  const count = () => {
    counter.turn += 1
    if (!isOver) setImmediate(count)
  }
  setImmediate(count)
  t.after(() => {
    isOver = true
  })
  return counter
}
