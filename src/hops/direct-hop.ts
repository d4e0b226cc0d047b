import { Readable } from 'node:stream'
import type { Pool } from 'undici'
import { API_PREFIX } from '../network/api-prefix.js'
import { LINK_SECRET_HEADER, PROTOCOL_HEADER, RELAY_HEADER } from '../network/header-names.js'
import { asError } from '../values/failures/system-error.js'
import {
  commonVersion,
  describeMismatch,
  FIRST_VERSIONS,
  formatVersions,
  parseVersions,
  type VersionRange
} from '../values/protocol-version.js'
import { describeFailure, isWorthRetrying, StartTimeoutError } from './connection-errors.js'
import { RELAYD, TREELINE } from './dialect.js'
import { type AnswerStart, Exchange, piecesOf } from './exchange.js'
import type { Hop, HopOutcome, HopRequest, LinkToUpper } from './hop.js'
import { relayableRequestHeaders } from './hop-by-hop-headers.js'
import { type KnownPeer, outcomeOfResponse } from './hop-response.js'

const DEFAULT_SILENCE_LIMIT_MS = 60_000
/** Requests that wait for one of a neighbour's connections; beyond, it counts as not reached. */
export const MAX_QUEUED_REQUESTS = 1_024

/** The connection to a neighbour at this moment. */
export interface PeerConnection {
  readonly pool: Pool
  /** `https://host:port`, for messages. */
  readonly address: string
}

/** A neighbour that cannot be asked at all, and why, for a user. */
export interface NoConnection {
  readonly unreachable: string
}

/** Called with every outcome. `durationMs`: until the answer began, or until it was clear that none comes. */
export type HopObserver = (hopId: string, outcomeKind: HopOutcome['kind'], durationMs: number) => void

export interface DirectHopOptions extends KnownPeer {
  readonly id: string
  /** Finds the connection, anew for each attempt, so that new certificates and addresses count at once. */
  readonly connection: () => Promise<PeerConnection | NoConnection>
  /** How long a request may wait for a connection, in ms: opening one, and the queue before it. */
  readonly startLimitMs: number
  /** The limit for requests that name none, in ms. @default 60_000 */
  readonly silenceLimitMs?: number | undefined
  /** The value of `authorization` in each request. */
  readonly authorization: string | undefined
  /** The link to the policy server, for the hop to it alone, where this relay holds a link. */
  readonly link?: LinkToUpper | undefined
  readonly observer: HopObserver | undefined
  /** Stated with each request; undefined over a link, where it was settled when that opened. */
  readonly versions: VersionRange | undefined
}

/** A neighbour that is reached by HTTPS of its own. */
export function createDirectHop(options: DirectHopOptions): Hop {
  return {
    id: options.id,
    get dialect() {
      return options.isTreeline() ? TREELINE : RELAYD
    },
    async request(request) {
      const begunAt = performance.now()
      const outcome = await ask(options, request)
      options.observer?.(options.id, outcome.kind, performance.now() - begunAt)
      return outcome
    }
  }
}

/**
 * Makes the request again, once, where a connection was lost before anything was written to it, or where it was refused
 * because the link, by which we are known, has been replaced meanwhile.
 */
async function ask(options: DirectHopOptions, request: HopRequest): Promise<HopOutcome> {
  const first = await attempt(options, request)
  return first.retry ? (await attempt(options, request)).outcome : first.outcome
}

interface Attempt {
  readonly outcome: HopOutcome
  readonly retry: boolean
}

async function attempt(options: DirectHopOptions, request: HopRequest): Promise<Attempt> {
  const { signal } = request
  signal?.throwIfAborted()
  const connection = await options.connection()
  signal?.throwIfAborted()
  if ('unreachable' in connection) return failed(connection.unreachable, false)
  const { pool, address } = connection
  if (pool.stats.queued >= MAX_QUEUED_REQUESTS) {
    return failed(`${address}: ${MAX_QUEUED_REQUESTS} requests are waiting for a connection already`, false)
  }
  const body = request.body?.()
  const exchange = new Exchange(body instanceof Readable ? body : undefined, piecesOf(pool))
  const onAbort = () => exchange.abort(asError(signal?.reason))
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    const secret = options.link?.secretFor(address)
    const answer = await begin(
      options,
      { ...request, headers: requestHeaders(options, request, secret) },
      pool,
      body,
      exchange
    )
    answer.body.once('close', () => signal?.removeEventListener('abort', onAbort))
    const isSent = !(body instanceof Readable) || body.readableEnded
    const mismatch = mismatchOf(options, answer)
    if (mismatch !== undefined) {
      answer.body.destroy()
      const reason = `${address}: ${mismatch}`
      return { outcome: { kind: 'unreachable', reason, status: answer.status, sent: true }, retry: false }
    }
    const notFinal = whyNotFinal(options, answer, secret)
    const outcome = await outcomeOfResponse(options, address, answer, isSent, notFinal)
    const newer = options.link?.secretFor(address)
    return { outcome, retry: notFinal !== undefined && newer !== undefined && newer !== secret }
  } catch (error) {
    signal?.removeEventListener('abort', onAbort)
    signal?.throwIfAborted()
    const retry = !exchange.started && isWorthRetrying(error)
    return { ...failed(`${address}: ${describeFailure(error)}`, exchange.started), retry }
  }
}

function failed(reason: string, sent: boolean): Attempt {
  return { outcome: { kind: 'unreachable', reason, sent }, retry: false }
}

async function begin(
  options: DirectHopOptions,
  request: HopRequest,
  pool: Pool,
  body: Readable | Buffer | undefined,
  exchange: Exchange
): Promise<AnswerStart> {
  const timer = setTimeout(() => {
    if (!exchange.started) exchange.abort(new StartTimeoutError(options.startLimitMs))
  }, options.startLimitMs)
  const silenceLimitMs = request.silenceLimitMs ?? options.silenceLimitMs ?? DEFAULT_SILENCE_LIMIT_MS
  try {
    pool.dispatch(
      {
        method: request.method,
        path: `${API_PREFIX}/${request.path}`,
        headers: request.headers,
        body: body ?? null,
        headersTimeout: silenceLimitMs,
        bodyTimeout: silenceLimitMs,
        // undici would close the connection after each HEAD.
        ...(request.method === 'HEAD' ? { reset: false } : {})
      },
      exchange
    )
  } catch (error) {
    exchange.abort(asError(error))
  }
  try {
    return await exchange.answer
  } finally {
    clearTimeout(timer)
  }
}

/** Why a Treeline relay and this one do not understand each other. */
function mismatchOf({ id, versions }: DirectHopOptions, { headers }: AnswerStart): string | undefined {
  if (versions === undefined || headers[RELAY_HEADER] === undefined) return undefined
  const theirs = parseVersions(String(headers[PROTOCOL_HEADER] ?? '')) ?? FIRST_VERSIONS
  return commonVersion(versions, theirs) === undefined ? describeMismatch(id, theirs, versions) : undefined
}

/** A refusal of somebody whom the policy server does not know, as it would have by the link, is no last word. */
function whyNotFinal(
  { link }: DirectHopOptions,
  { status, headers }: AnswerStart,
  secret: string | undefined
): string | undefined {
  if (link === undefined || status < 400) return undefined
  if (secret !== undefined) {
    return headers[LINK_SECRET_HEADER] === undefined ? undefined : 'since it knows nothing of our link any more'
  }
  return link.isAwaited && (status === 401 || status === 403) ? 'while there is no link to it' : undefined
}

function requestHeaders(
  options: DirectHopOptions,
  request: HopRequest,
  secret: string | undefined
): Record<string, string> {
  const headers = relayableRequestHeaders(request.headers)
  if (request.body === undefined) delete headers['content-length']
  if (options.authorization !== undefined) headers.authorization = options.authorization
  if (options.versions !== undefined) headers[PROTOCOL_HEADER] = formatVersions(options.versions)
  if (secret !== undefined) headers[LINK_SECRET_HEADER] = secret
  return headers
}
