import { ConfigError } from '../config/config.js'

interface Noticed {
  readonly notices: readonly { readonly level: string; readonly text: string }[]
}

/**
 * What `read` gives, with its notices told on standard error.
 * @returns undefined once the problems of a configuration that cannot be used are told
 */
export function readOrTell<T extends Noticed>(read: () => T): T | undefined {
  try {
    const config = read()
    for (const { level, text } of config.notices) tell(`${level}: ${text}`)
    return config
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    for (const problem of error.problems) tell(problem)
    return undefined
  }
}

/** A line on standard error. */
export function tell(line: string): void {
  process.stderr.write(`treeline: ${line}\n`)
}
