/**
 * `malformed`: not the syntax of HTTP/1, or its end is not certain. `too-large`: beyond a bound of ours. `version`: not
 * HTTP/1.0 or HTTP/1.1. `incomplete`: the connection ended before the message.
 */
export type MessageProblem = 'malformed' | 'too-large' | 'version' | 'incomplete'

/**
 * A message that is not passed on. Nothing behind it on its connection can be read any more. The text quotes no header
 * value and no target: they may hold secrets.
 */
export class BadMessageError extends Error {
  override name = 'BadMessageError'

  constructor(
    readonly problem: MessageProblem,
    message: string
  ) {
    super(message)
  }
}

/** A {@link BadMessageError} with the problem `malformed`. */
export function malformed(message: string): BadMessageError {
  return new BadMessageError('malformed', message)
}
