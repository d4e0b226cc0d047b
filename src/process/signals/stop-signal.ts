/**
 * The handling of SIGTERM and SIGINT in a program that runs until it is told to stop. They may come before it is
 * ready: so they are caught from its first line on, and remembered until it has begun to wait for them. A second one
 * of the same kind ends the process.
 */

const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const

let asked: NodeJS.Signals | undefined
const waiting = new Set<(signal: NodeJS.Signals) => void>()

/** Catches the signals. Called first, by a program that runs until it is told to stop. */
export function catchStopSignals(): void {
  for (const signal of STOP_SIGNALS) process.once(signal, remember)
}

/**
 * Leaves the signals to their default action, for a program that ends by itself after all: they end it, also with one
 * that has come by now.
 */
export function leaveStopSignals(): void {
  for (const signal of STOP_SIGNALS) process.off(signal, remember)
  if (asked !== undefined) process.kill(process.pid, asked)
}

/** Stops as SIGTERM does, for a program that cannot go on. */
export function askStop(): void {
  remember('SIGTERM')
}

/** Whether one has come. */
export function isStopAsked(): boolean {
  return asked !== undefined
}

/** Resolves with the first signal, at once if it has come. */
export function stopAsked(): Promise<NodeJS.Signals> {
  return new Promise(resolve => {
    if (asked === undefined) waiting.add(resolve)
    else resolve(asked)
  })
}

function remember(signal: NodeJS.Signals): void {
  asked ??= signal
  for (const tell of waiting) tell(signal)
  waiting.clear()
}
