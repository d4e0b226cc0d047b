/** Has signals do nothing. Their default action is death, but for SIGUSR1: there Node opens its debugger to all local users. */
export function ignoreSignals(...signals: readonly NodeJS.Signals[]): void {
  for (const signal of signals) process.on(signal, () => undefined)
}
