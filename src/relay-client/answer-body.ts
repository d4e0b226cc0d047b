import { PassThrough, type Readable } from 'node:stream'
import { describeConnectionFailure } from '../network/connection-failure.js'
import { ClientError } from './client-error.js'

/** An answer had begun, and its body did not come to its end. */
export class BrokenAnswerError extends ClientError {
  override name = 'BrokenAnswerError'
}

/**
 * The body of an answer, which fails with a message for the user when the connection breaks. Destroying it closes the
 * request.
 * @param relay how the user knows it
 * @param signal closes the request on purpose: its own reason is kept
 */
export function explainingBody(body: Readable, relay: string, signal: AbortSignal | undefined): Readable {
  const told = new PassThrough()
  // the error is changed before `destroy`: a stream shows late readers the one that it was destroyed with
  body.on('error', error => told.destroy(signal?.aborted === true ? error : brokenAnswer(error, relay)))
  told.on('error', () => undefined) // it may come before anyone reads, and is told to who does
  told.once('close', () => body.destroy())
  body.pipe(told)
  return told
}

function brokenAnswer(cause: Error, relay: string): BrokenAnswerError {
  const why = describeConnectionFailure(cause)
  return new BrokenAnswerError(`the answer of the relay at ${relay} broke off: ${why}`, { cause })
}
