import { existsSync, renameSync, writeFileSync } from 'node:fs'

/** The library of Debian's package `faketime`, by the machine's architecture. */
const FAKETIME = ['x86_64', 'aarch64']
  .map(machine => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`)
  .find(library => existsSync(library))

/** The clock of a process, which can be set while it runs. Timers and `performance.now` do not notice. */
export interface SteppingClock {
  /** For the process. */
  readonly environment: NodeJS.ProcessEnv
  /** How far it is ahead of the real one. */
  readonly offsetSeconds: number
  set(offsetSeconds: number): void
}

/**
 * Makes a clock by libfaketime, for all that the process sees; where that is not installed, for its `Date` alone.
 * @param file may not be there yet
 * @param isKilled whether the process is: libfaketime leaves shared memory of what is killed, so it is its `Date` alone
 */
export function steppingClock(file: string, { offsetSeconds = 0, isKilled = false } = {}): SteppingClock {
  let current = 0
  const set = (seconds: number) => {
    current = seconds
    writeFileSync(`${file}.new`, `${seconds < 0 ? '' : '+'}${seconds}`)
    renameSync(`${file}.new`, file)
  }
  set(offsetSeconds)
  return {
    environment: FAKETIME === undefined || isKilled ? datesOf(file) : faketime(FAKETIME, file),
    get offsetSeconds() {
      return current
    },
    set
  }
}

function faketime(library: string, file: string): NodeJS.ProcessEnv {
  return {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1'
  }
}

function datesOf(file: string): NodeJS.ProcessEnv {
  const script = new URL('./stepping-date.mjs', import.meta.url).href
  return { STEPPING_CLOCK_FILE: file, NODE_OPTIONS: `--import ${script}` }
}
