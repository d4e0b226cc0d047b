import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { asDiskFailure, type StorageFolder } from '../../values/failures/disk-failure.js'
import { HopRefusedError, RelayError, type RelayErrorCode } from '../../values/failures/relay-error.js'
import { LogLimit } from '../../values/logging/log-limit.js'
import { discardRest } from '../bodies/request-body.js'
import { sourceOfLine } from '../requests/request-log.js'
import type { AfterAnswer } from './ends/after-answer.js'

/** The one place where an expected failure gets its HTTP status (contract, "Answers"). */
export const STATUS: Readonly<Record<RelayErrorCode, number>> = {
  INVALID_INPUT: 400,
  FAULTY_FRAMING: 400,
  NO_HOST: 400,
  FORBIDDEN: 403,
  BAD_SIGNATURE: 403,
  DISABLED: 403,
  UNKNOWN_NODE: 404,
  UNKNOWN_SOURCE: 404,
  NOT_FOUND: 404,
  CLIENT_TOO_SLOW: 408,
  CLIENT_GONE: 408,
  CONFLICT: 409,
  CONDITION_FAILED: 412,
  BODY_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA: 415,
  NO_SUCH_RANGE: 416,
  UNKNOWN_EXPECTATION: 417,
  NOT_RECOGNIZED: 421, // "Misdirected Request": over another connection, such as a link, it may be granted
  TOO_MANY_HEADERS: 431,
  NO_COMMON_VERSION: 501, // not a 4xx: a file waits until one of the two is updated
  HOP_UNREACHABLE: 502,
  BUSY: 503,
  STOPPING: 503,
  STORAGE_UNUSABLE: 503,
  NO_TREE: 503,
  HTTP_VERSION: 505,
  STORAGE_FULL: 507,
  LOOP_DETECTED: 508
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Plain errors are the text alone, without a line feed: existing callers know it so. */
    bareErrors?: boolean
  }
}

/** Failures after which nothing more is read of the connection. */
const CLOSING: ReadonlySet<string> = new Set<RelayErrorCode>(['CLIENT_TOO_SLOW', 'FAULTY_FRAMING', 'NO_HOST'])
/** Seconds after which a caller that met a bound may try again. */
const RETRY_AFTER_S = 5

interface Failure {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly expected: boolean
}

export interface ErrorHandlerOptions {
  readonly logger: FastifyBaseLogger
  readonly afterAnswer: AfterAnswer
  /** The folders in which this program writes: a message about a disk that refuses names the folder's setting. */
  readonly folders: readonly StorageFolder[]
}

/** Answers every failed request: one line of text, or JSON for callers that ask for it. */
export function installErrorHandler(app: FastifyInstance, { logger, afterAnswer, folders }: ErrorHandlerOptions): void {
  const limited = new LogLimit(logger)
  const answer = (failure: Failure, error: unknown, request: FastifyRequest, reply: FastifyReply) => {
    const { status, code, message } = failure
    const source = sourceOfLine(request)
    if (isOfStorage(error)) limited.warn(code, { reqId: request.id, status, err: error.cause ?? error }, message)
    else if (failure.expected) limited.info(source, { reqId: request.id, status, code, message }, 'request refused')
    else if (hasLeft(request)) limited.info(source, { reqId: request.id, err: error }, 'caller closed the connection')
    else limited.error(source, { reqId: request.id, err: error }, 'request failed')
    return answerFailure(failure, request, reply)
  }
  app.setErrorHandler((error, request, reply) => {
    const { config } = request.routeOptions
    if (config.isHot === true) reply.raw.once('finish', () => afterAnswer(request, reply))
    const named = asDiskFailure(error, folders)
    return answer(describe(named), named, request, reply)
  })
  app.setNotFoundHandler((request, reply) => {
    const what = `${request.method} ${request.originalUrl.slice(0, 200)}`
    const message = `no such route: ${what}${SERVICE_PATH.test(request.originalUrl) ? `. ${SERVICES_ELSEWHERE}` : ''}`
    reply.raw.once('finish', () => afterAnswer(request, reply))
    return answer({ status: 404, code: 'NOT_FOUND', message, expected: true }, undefined, request, reply)
  })
}

/** A path of services that may be asked for. Their pages would share the origin of this API here, with the rights of a local caller. */
const SERVICE_PATH = /^\/v1\/relay\/[^/?]/
const SERVICES_ELSEWHERE =
  'Services are served at the addresses of services.listen and services.https_listen in main.conf alone, never where this API is'

/** Not the caller's fault, and so more than a line for those who want to know. A quota, which has no cause, is. */
function isOfStorage(error: unknown): error is RelayError {
  return (
    error instanceof RelayError &&
    (error.code === 'STORAGE_UNUSABLE' || (error.code === 'STORAGE_FULL' && error.cause !== undefined))
  )
}

/** Whether the caller has gone. A failure that only the caller could have noticed is no fault of ours. */
function hasLeft({ raw }: FastifyRequest): boolean {
  return raw.destroyed || raw.socket?.destroyed === true
}

/** The status, stable code and message with which `error` is answered. */
export function describe(error: unknown): Failure {
  if (error instanceof RelayError) {
    return { status: STATUS[error.code], code: error.code, message: error.message, expected: true }
  }
  if (error instanceof HopRefusedError) {
    return { status: error.status, code: 'HOP_REFUSED', message: error.message, expected: true }
  }
  const { statusCode, code, message } = fastifyError(error)
  if (statusCode >= 400 && statusCode < 500) return { status: statusCode, code, message, expected: true }
  return {
    status: 500,
    code: 'INTERNAL',
    message: 'an error within the relay; its log has the details under this request id',
    expected: false
  }
}

function fastifyError(error: unknown): { statusCode: number; code: string; message: string } {
  if (!(error instanceof Error)) return { statusCode: 500, code: 'INTERNAL', message: '' }
  const statusCode = 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 500
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'INVALID_INPUT'
  return { statusCode, code: code.replace(/^FST_ERR_/, ''), message: error.message }
}

function answerFailure(failure: Failure, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status, code, message } = failure
  reply.code(status)
  if (CLOSING.has(code)) reply.header('connection', 'close')
  else {
    // Fastify sets it with a 413. Not removed where it isn't: Node then forgets that a caller has shut down its side.
    if (reply.hasHeader('connection')) reply.removeHeader('connection')
    discardRest(request.raw, reply.raw)
  }
  if (status === STATUS.BUSY) reply.header('retry-after', String(RETRY_AFTER_S))
  if (request.headers.accept?.includes('application/json')) {
    // The route's schema for this status may be one of text, or of another object.
    return reply.serializer(JSON.stringify).type('application/json').send({ code, message, requestId: request.id })
  }
  const suffix = failure.expected ? '' : ` (${request.id})`
  const end = request.routeOptions.config.bareErrors === true ? '' : '\n'
  return reply.type('text/plain; charset=utf-8').send(`${message.replaceAll(/[\r\n]+/g, ' ')}${suffix}${end}`)
}
