/** A failure of a proxy: nothing was sent to the server behind it. Its message is for a user, without credentials. */
export class ProxyError extends Error {
  override name = 'ProxyError'

  /** @param status what it answered to CONNECT; undefined: it is not reached, or is no proxy */
  constructor(
    message: string,
    readonly status?: number
  ) {
    super(message)
  }
}
