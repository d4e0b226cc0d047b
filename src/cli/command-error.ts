import { ClientError } from '../relay-client/client-error.js'

/** What the `treeline` command ends with, wherever a command does not say otherwise. */
export const EXIT = {
  ok: 0,
  /** What was asked for did not succeed. */
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
