/** A failure with a relay, or with the files that go to it and come from it, in words for a user. */
export class ClientError extends Error {
  override name = 'ClientError'
}

/** An input that no relay could accept: nothing was tried. */
export class InputError extends ClientError {
  override name = 'InputError'
}

/** A failure without an answer: nothing listens, TLS fails, or the connection broke. */
export class NotReachedError extends ClientError {
  override name = 'NotReachedError'
}

/** A relay, or a web server before it, answered with 300 or more. */
export class RefusedError extends ClientError {
  override name = 'RefusedError'

  constructor(
    message: string,
    readonly status: number
  ) {
    super(message)
  }
}
