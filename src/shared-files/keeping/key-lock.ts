/** Takes turns: what is done under one name never overlaps. */
export interface KeyLock {
  /** Waits for its turn. The caller calls what it gets, once, when it is done. */
  acquire(name: string): Promise<() => void>
  /** Takes the turn only if it is free now. */
  tryAcquire(name: string): (() => void) | undefined
  /** Whether someone has the turn. */
  isHeld(name: string): boolean
}

export function createKeyLock(): KeyLock {
  /** The last in each line; a name without an entry is free. */
  const tails = new Map<string, Promise<void>>()

  function take(name: string): () => void {
    let free: () => void = () => undefined
    const tail = new Promise<void>(resolve => {
      free = resolve
    })
    tails.set(name, tail)
    return () => {
      if (tails.get(name) === tail) tails.delete(name)
      free()
    }
  }

  return {
    acquire: name => {
      const before = tails.get(name)
      const release = take(name)
      return before === undefined ? Promise.resolve(release) : before.then(() => release)
    },
    tryAcquire: name => (tails.has(name) ? undefined : take(name)),
    isHeld: name => tails.has(name)
  }
}
