/** @returns what does one piece of work after another, in the order in which they are given to it, whether or not they fail */
export function createTurns(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return work => {
    const done = last.then(work)
    last = done.catch(() => undefined) // the giver of the work hears of it
    return done
  }
}
