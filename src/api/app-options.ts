import type { FastifyReply, FastifyRequest, FastifySchemaValidationError } from 'fastify'
import { describe } from './answers/error-handler.js'
import { canonicalUrl } from './requests/canonical-url.js'
import { withoutLongQuery } from './requests/query.js'
import { requestIdMaker } from './requests/request-ids.js'
import { originForm } from './requests/request-target.js'

/**
 * Options of ajv, which checks queries and parameters. A test says that our own schemas are schemas: checking that at each start,
 * and optimizing the code of the checks, takes 20 ms of it.
 */
const AJV_OPTIONS = {
  coerceTypes: true,
  removeAdditional: false,
  allErrors: false,
  validateSchema: false,
  code: { optimize: false }
} as const

/** The options that the applications of relays and of agents share. @param maxFormBytes of a body that is read whole */
export function commonOptions(maxFormBytes: number) {
  return {
    logger: false, // ours is used directly: with one of its own, Fastify listens to every answer's end to log it
    bodyLimit: maxFormBytes,
    rewriteUrl: (request: { readonly url?: string | undefined }) =>
      withoutLongQuery(canonicalUrl(originForm(request.url ?? '/'))),
    genReqId: requestIdMaker(),
    requestIdHeader: false,
    schemaErrorFormatter: (errors: FastifySchemaValidationError[], part: string) =>
      new Error(`invalid ${part}: ${errors[0]?.instancePath ?? ''} ${errors[0]?.message ?? ''}`),
    ajv: { customOptions: AJV_OPTIONS },
    frameworkErrors: (error: Error, _request: FastifyRequest, reply: FastifyReply) => {
      const { status, message } = describe(error)
      reply.raw.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${message}\n`)
    }
  } as const
}
