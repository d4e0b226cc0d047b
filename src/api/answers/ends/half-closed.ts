import type { IncomingMessage, ServerResponse } from 'node:http'
import { RelayError } from '../../../values/failures/relay-error.js'
import { isHttp2 } from '../../requests/http-version.js'
import { onAnswerEnd } from './answer-end.js'

/** How long a caller that shut down its sending side still gets what an answer that lasts has to say. */
const HALF_CLOSED_MS = 2_000

/**
 * Aborts when the caller of an answer that lasts (the output of a run, its events) has shut down its sending side and
 * a moment has passed. A caller that has gone looks the same as one that only said that it sends nothing more, until
 * something is written to it twice; an answer that is silent would be kept for nobody, and a run with it. An answer
 * that ends within that moment is sent in full.
 */
export function leftHalfClosed(request: IncomingMessage, response: ServerResponse): AbortSignal {
  const left = new AbortController()
  if (isHttp2(request)) return left.signal // a stream has an end of its own for each request
  const { socket } = request
  let timer: NodeJS.Timeout | undefined
  const leave = () => {
    left.abort(
      new RelayError(
        'CLIENT_GONE',
        'the sending side of the connection was shut down, which is leaving where an answer lasts: keep it open'
      )
    )
  }
  const onEnd = () => {
    timer = setTimeout(leave, HALF_CLOSED_MS)
  }
  const stop = () => {
    socket.off('end', onEnd)
    clearTimeout(timer)
  }
  if (socket.readableEnded) onEnd()
  else socket.once('end', onEnd)
  onAnswerEnd(response, stop)
  return left.signal
}
