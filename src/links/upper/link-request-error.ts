/** A request over a link came to nothing. `sent`: something of it may have reached the other side. */
export class LinkRequestError extends Error {
  override name = 'LinkRequestError'

  constructor(
    message: string,
    readonly sent: boolean
  ) {
    super(message)
  }
}
