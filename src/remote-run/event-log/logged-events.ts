import type { RunEvent } from '../run-types.js'

/**
 * The events of open nodes that the log has already, for a run that is taken up again. A neighbour that is asked
 * about the run reports it from its beginning, so each of these is left out once.
 */
export class LoggedEvents {
  readonly #counts = new Map<string, number>()

  /** @param isOpen whether more may come of a node; what is logged of the others never comes again */
  constructor(private readonly isOpen: (node: string) => boolean) {}

  note(event: RunEvent): void {
    if (event.node !== undefined && !this.isOpen(event.node)) return
    const key = keyOf(event)
    if (key !== undefined) this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
  }

  /** @returns whether the event is in the log, and was not left out so often yet */
  take(event: Omit<RunEvent, 'seq' | 'run'>): boolean {
    const key = keyOf(event)
    const count = key === undefined ? undefined : this.#counts.get(key)
    if (key === undefined || count === undefined) return false
    if (count === 1) this.#counts.delete(key)
    else this.#counts.set(key, count - 1)
    return true
  }
}

/** Outputs of a node come in order, so it is enough to count them; those without a node belong to relays that only speak text. */
function keyOf({ event, node = '', relay = '', outcome, message = '' }: Omit<RunEvent, 'seq' | 'run'>) {
  if (event === 'output' && node !== '') return `output ${node}`
  if (event === 'node' && outcome === 'running') return `running ${node}`
  return event === 'error' ? `error ${relay} ${node} ${message}` : undefined
}
