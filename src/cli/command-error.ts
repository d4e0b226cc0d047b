import { ClientError } from '../relay-client/client-error.js'

/** The exit codes of the `treeline` command, unless a command says otherwise. */
export const EXIT = {
  ok: 0,
  /** The command did not succeed. */
  failure: 1,
  /** The command line or a configuration file is wrong; nothing was tried. */
  usage: 2
} as const

/** Ends a command with a message for the user. */
export class CommandError extends ClientError {
  override name = 'CommandError'

  constructor(
    message: string,
    readonly exitCode: number = EXIT.failure,
    options?: ErrorOptions
  ) {
    super(message, options)
  }
}

/** The command line asks for something that cannot be. */
export class UsageError extends CommandError {
  override name = 'UsageError'

  constructor(message: string, options?: ErrorOptions) {
    super(message, EXIT.usage, options)
  }
}
