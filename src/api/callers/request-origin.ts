import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Caller, Origin } from '../../network/caller.js'
import { PASSED_HEADER } from '../../network/header-names.js'
import { parsePassed } from '../../values/passed-relays.js'
import { answerHasEnded } from '../answers/ends/answer-end.js'
import { leftHalfClosed } from '../answers/ends/half-closed.js'

declare module 'fastify' {
  /** Members of a route's schema for the OpenAPI description. */
  interface FastifySchema {
    tags?: readonly string[]
    summary?: string
    description?: string
    consumes?: readonly string[]
    produces?: readonly string[]
    hide?: boolean
    /** A body that the route reads itself: for the description alone, nothing is validated by it. */
    describedBody?: object
    /** The query string of the API's description, where the route reads it in another way. */
    describedQuerystring?: object
    /** Answers in the API's description, by status, that nothing is serialized by. */
    describedResponse?: Readonly<Record<number, object>>
  }
  interface FastifyRequest {
    caller: Caller
    /** The time at which the request began, by `performance.now`. */
    begunAt: number
  }
  interface FastifyContextConfig {
    access?: import('./access.js').Access
  }
}

/** Known relays: what they say of a request's way, time and run id is believed (design, "Trust"). */
export function isKnownRelay(caller: Caller): boolean {
  return caller.kind === 'policy-server' || caller.kind === 'relay'
}

/** Whether a caller whom nothing identifies may be a relay: where a web server ends the TLS, certificates end as well. */
export function mayBeRelay({ kind }: Caller): boolean {
  return kind === 'proxied' || kind === 'network'
}

/** The origin of a request. Its signal is made only when someone asks for it: most requests never wait. */
class RequestOrigin implements Origin {
  #signal: AbortSignal | undefined

  constructor(
    private readonly request: FastifyRequest,
    private readonly reply: FastifyReply,
    private readonly stopping: AbortSignal,
    private readonly lasts: boolean
  ) {}

  get caller(): Caller {
    return this.request.caller
  }

  get requestId(): string {
    return this.request.id
  }

  get passed(): readonly string[] {
    if (!isKnownRelay(this.request.caller)) return []
    return parsePassed(headerText(this.request, PASSED_HEADER) ?? '')
  }

  get claimedPassed(): readonly string[] {
    if (!mayBeRelay(this.request.caller)) return []
    try {
      return parsePassed(headerText(this.request, PASSED_HEADER) ?? '')
    } catch {
      return [] // it is not believed anyway
    }
  }

  get signal(): AbortSignal {
    if (this.#signal === undefined) {
      const gone = [clientGone(this.reply), this.stopping]
      if (this.lasts) gone.push(leftHalfClosed(this.request.raw, this.reply.raw))
      this.#signal = AbortSignal.any(gone)
    }
    return this.#signal
  }
}

/** @param how.lasts for answers that go on until something ends elsewhere: who shuts down its side leaves them. @default false */
export function originOf(
  request: FastifyRequest,
  reply: FastifyReply,
  stopping: AbortSignal,
  { lasts = false }: { readonly lasts?: boolean } = {}
): Origin {
  return new RequestOrigin(request, reply, stopping, lasts)
}

/** A header's text, or undefined when it is absent or was sent several times. */
export function headerText(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name]
  return typeof value === 'string' ? value : undefined
}

/** Aborts when the caller leaves before it has the whole answer; right for HTTP/1 and HTTP/2. */
function clientGone(reply: FastifyReply): AbortSignal {
  const gone = new AbortController()
  const { raw } = reply
  raw.once('close', () => {
    if (!(raw.writableEnded && raw.writableFinished)) gone.abort(new Error('the caller has gone'))
  })
  if (answerHasEnded(raw) && !raw.writableFinished) gone.abort(new Error('the caller has gone'))
  return gone.signal
}
