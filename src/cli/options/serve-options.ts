import { parseArgs } from 'node:util'

/** The folder in which an existing relay has its `main.conf`. */
export const DEFAULT_CONFIG_DIRECTORY = '/opt/rudder/etc/relayd/'

export interface ServeArguments {
  /** Directory of `main.conf` and `logging.conf`. */
  readonly config: string
  /** Whether to check the configuration only. */
  readonly test: boolean
  /** Whether warnings count as errors, with `test`. */
  readonly strict: boolean
}

/**
 * Reads `serve [-c <dir>] [-t]`, with or without the word: rudder-relayd is called without.
 * @param args without the interpreter and the script
 * @returns undefined when it is another command, a call for help, or wrong: the whole command line knows what to say
 */
export function readServeOptions(args: readonly string[]): ServeArguments | undefined {
  const rest = withoutCommand(args)
  if (rest === undefined) return undefined
  try {
    const { values } = parseArgs({
      args: rest,
      options: {
        config: { type: 'string', short: 'c' },
        test: { type: 'boolean', short: 't' },
        strict: { type: 'boolean' }
      }
    })
    return {
      config: values.config ?? DEFAULT_CONFIG_DIRECTORY,
      test: values.test ?? false,
      strict: values.strict ?? false
    }
  } catch {
    return undefined
  }
}

/** The arguments behind `serve`, or all of them when the first is an option of it; undefined for other commands. */
export function withoutCommand(args: readonly string[]): string[] | undefined {
  const [first = '', ...rest] = args
  if (first === 'serve') return rest
  return /^(?:-[ct]|--config$|--config=|--test$|--strict$)/.test(first) ? [...args] : undefined
}
