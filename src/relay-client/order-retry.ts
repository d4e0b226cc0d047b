import { setTimeout as sleep } from 'node:timers/promises'
import { connectionErrorCode } from '../network/connection-failure.js'
import { ProxyError } from '../network/proxy-error.js'
import { errorMessage } from '../values/failures/system-error.js'
import { isoTime } from '../values/time/iso-time.js'
import { BrokenAnswerError } from './answer-body.js'
import { ClientError, NotReachedError, RefusedError } from './client-error.js'

const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 15_000

/** The statuses of a relay that stops, or has just started, and of the web server in front of one that is down. */
const PASSING_STATUSES = new Set([502, 503])

const SERVER_ERROR = 500

const CUT_OFF_TEXT =
  'the connection to the relay ended before its answer: it may have taken the order, which does not start twice'

/** The error codes of a connection that was never made, so that nothing was sent: a relay that is being restarted. */
const NOTHING_SENT = new Set(['ECONNREFUSED', 'ENOENT', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'])

/** The error codes of a connection that ended after the order was sent, so that the relay may have taken it. */
const CUT_OFF = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'])

/**
 * Gives an order again and again until a relay takes it, for as long as the order may wait.
 * @param order has an id by which the relay knows it again; is told how many seconds are left of that
 * @param tell a line for the user, each time the reason is another one
 * @throws what `order` throws, when it is more than a relay that is away for a moment, or when the time is over
 */
export async function retryOrder<T>(
  order: (waitSeconds: number) => Promise<T>,
  waitSeconds: number,
  tell: (line: string) => void
): Promise<T> {
  const endsAtMs = performance.now() + waitSeconds * 1_000
  const until = isoTime(Date.now() + waitSeconds * 1_000)
  let told = ''
  let wasCutOff = false
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    const leftMs = endsAtMs - performance.now()
    try {
      return await order(Math.max(1, Math.ceil(leftMs / 1_000)))
    } catch (error) {
      if (!isPassing(error)) throw error
      const reason = errorMessage(error)
      if (leftMs <= 0) throw new ClientError(`not taken until ${until}: ${reason}`, { cause: error })
      // a second time in a row it is no accident, and the reason may be a port for TLS
      const isAccident = mayHaveBeenTaken(error) && !wasCutOff
      wasCutOff = mayHaveBeenTaken(error)
      const line = isAccident ? CUT_OFF_TEXT : reason
      if (line !== told) tell(`${line} (tried again until ${until})`)
      told = line
      await sleep(Math.min(pauseMs, leftMs))
    }
  }
}

/** Whether the connection ended before an answer to an order that was sent, or within it. */
export function mayHaveBeenTaken(error: unknown): boolean {
  if (error instanceof BrokenAnswerError) return true
  return error instanceof NotReachedError && CUT_OFF.has(connectionErrorCode(error.cause))
}

function isPassing(error: unknown): boolean {
  if (error instanceof RefusedError) return PASSING_STATUSES.has(error.status)
  if (mayHaveBeenTaken(error)) return true
  if (!(error instanceof NotReachedError)) return false
  // a proxy that is down, or cannot reach the relay; one that wants credentials or forbids it stays so
  if (error.cause instanceof ProxyError) return error.cause.status === undefined || error.cause.status >= SERVER_ERROR
  return NOTHING_SENT.has(connectionErrorCode(error.cause))
}
