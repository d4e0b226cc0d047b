import { Readable } from 'node:stream'
import { RELAY_HEADER } from '../network/header-names.js'
import type { AnswerStart } from './exchange.js'
import type { HopHeaders, HopOutcome } from './hop.js'
import { relayableAnswerHeaders } from './hop-by-hop-headers.js'
import { readPrefix } from './read-prefix.js'

/** The size of an answer that explains an error. */
const MAX_EXPLANATION_BYTES = 64 * 1024
const EXPLANATION_LIMIT_MS = 5_000

/** The knowledge of a neighbour's program. */
export interface KnownPeer {
  readonly isTreeline: () => boolean
  readonly onTreeline: (version: string) => void
  /** Called when it was taken for a Treeline relay, and did something without showing that it is one. */
  readonly onStranger: () => void
  /** Called when it is taken for a Treeline relay, and says 404 without showing that it is one. */
  readonly onDoubt: () => void
}

const FIRST_REDIRECT = 300
const NOT_MODIFIED = 304
const FIRST_REFUSAL = 400

/**
 * The outcome that an answer means to the caller.
 * @param address for messages
 * @param isSent whether all of the request's body has gone out
 * @param notFinal why a refusal is none yet, for a user; the same may be granted in a moment
 */
export async function outcomeOfResponse(
  peer: KnownPeer,
  address: string,
  answer: AnswerStart,
  isSent: boolean,
  notFinal?: string
): Promise<HopOutcome> {
  const { status } = answer
  const headers: HopHeaders = relayableAnswerHeaders(answer.headers)
  const wasTreeline = peer.isTreeline()
  const version = headers[RELAY_HEADER]
  if (version !== undefined) peer.onTreeline(version)
  // A proxy in front of one that is down refuses. It does nothing in its place.
  else if (wasTreeline && status < FIRST_REFUSAL) peer.onStranger()
  if (status >= FIRST_REDIRECT && status < FIRST_REFUSAL && status !== NOT_MODIFIED) {
    const text = await explanation(answer.body)
    const reason = `${address} answered ${status}, as no relay does: a web server in front of it?${text}`
    return { kind: 'unreachable', reason, status, sent: true }
  }
  if (status < FIRST_REFUSAL) return { kind: 'answered', status, headers, body: answer.body }
  if (status === 408 || status === 429 || status >= 500) {
    const text = await explanation(answer.body)
    return { kind: 'unreachable', reason: `${address} answered ${status}${text}`, status, sent: true }
  }
  if (notFinal !== undefined) {
    const text = await explanation(answer.body)
    return { kind: 'unreachable', reason: `${address} answered ${status} ${notFinal}${text}`, status, sent: true }
  }
  if (status === 404 && wasTreeline && version === undefined) {
    answer.body.destroy()
    peer.onDoubt()
    const reason = `${address} answered 404 without being a Treeline relay: a proxy in front of one that is down?`
    return { kind: 'unreachable', reason, status, sent: true }
  }
  return { kind: 'refused', status, headers, body: isSent ? answer.body : await detached(answer.body) }
}

/** The beginning of an answer, read at once, so that its connection can be closed and the sending ends with it. */
async function detached(body: Readable): Promise<Readable> {
  const bytes = await readPrefix(body, MAX_EXPLANATION_BYTES, EXPLANATION_LIMIT_MS)
  return Readable.from(bytes.length === 0 ? [] : [bytes], { objectMode: false })
}

/** The first line of an error's text behind a colon, as far as it is fit to be shown; empty where there is none. */
export async function explanation(body: Readable): Promise<string> {
  const bytes = await readPrefix(body, MAX_EXPLANATION_BYTES, EXPLANATION_LIMIT_MS)
  const line =
    bytes
      .toString('utf8')
      .trim()
      .split(/[\r\n]/, 1)[0] ?? ''
  const printable = line.replaceAll(/\p{C}/gu, '').slice(0, 200)
  return printable === '' ? '' : `: ${printable}`
}
