import { parse } from 'node:querystring'
import type { FastifyInstance, FastifyReply, FastifyRequest, RequestPayload } from 'fastify'
import { FORM } from '../../network/header-names.js'
import { callerTurns } from '../../process/pacing/turn-limit.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { onAnswerEnd } from '../answers/ends/answer-end.js'
import { FormMemory } from './form-memory.js'
import { checkNotEncoded, failBody, hasBody, sayContinue } from './request-body.js'

/** The fields of a form, which has six that mean something. Each takes 2 us, and a million of them a second or more. */
export const MAX_FIELDS = 1_000

/** The body in place of a form with more fields. */
const TOO_MANY = Object.freeze({})

type Done = (error?: Error | null, payload?: RequestPayload) => void

/**
 * Installs the rules for the body of a POST, or of a DELETE that has one, which is short and read whole: a form and nothing else (415), which a
 * body of no stated type is taken for, as existing relays do, no content coding, a time limit (408 beyond), and memory
 * that the sources share ({@link FormMemory}). The server's own limit is off, since the body of a PUT may take long.
 * @param maxBytes of a form (413 beyond)
 */
export function installFormRules(app: FastifyInstance, limitMs: number, maxBytes: number): void {
  const memory = new FormMemory()

  function check(request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void {
    checkNotEncoded(request.raw)
    checkIsForm(request)
    done()
  }

  function limit(request: FastifyRequest, reply: FastifyReply, payload: RequestPayload, done: Done): void {
    if (hasBody(request.raw)) {
      const timer = setTimeout(() => {
        failBody(payload, new RelayError('CLIENT_TOO_SLOW', `the body did not come within ${limitMs} ms`))
      }, limitMs)
      const stop = () => clearTimeout(timer)
      payload.once('end', stop)
      onAnswerEnd(reply.raw, stop)
      memory.count(request, reply, payload)
      sayContinue(request.raw, reply.raw)
    }
    done(null, payload)
  }

  function refuseLong(request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void {
    const isTooLong = request.body === TOO_MANY
    done(isTooLong ? new RelayError('INVALID_INPUT', `the form has more than ${MAX_FIELDS} fields`) : undefined)
  }

  app.removeAllContentTypeParsers() // Fastify's own, of JSON and text
  app.addContentTypeParser(FORM, { parseAs: 'buffer', bodyLimit: maxBytes }, readInTurn)
  app.addHook('onRoute', route => {
    if (route.method !== 'POST' && route.method !== 'DELETE') return
    route.onRequest = [check, ...[route.onRequest ?? []].flat()]
    route.preParsing = [limit, ...[route.preParsing ?? []].flat()]
    route.preValidation = [refuseLong, ...[route.preValidation ?? []].flat()]
  })
}

/** Reads a form, and with that goes on to what is asked, once this turn of the event loop has time for it. */
async function readInTurn(_request: FastifyRequest, body: Buffer): Promise<Readonly<Record<string, unknown>>> {
  if (callerTurns.isOver) await callerTurns.next()
  return readForm(body.toString())
}

/**
 * Reads the fields of a form; a field that is there twice has several values.
 * @returns an object that {@link installFormRules} refuses when there are more than {@link MAX_FIELDS}
 */
function readForm(text: string): Readonly<Record<string, unknown>> {
  let fields = 1
  for (let at = text.indexOf('&'); at !== -1; at = text.indexOf('&', at + 1)) {
    fields += 1
    if (fields > MAX_FIELDS) return TOO_MANY
  }
  return parse(text, '&', '=', { maxKeys: 0 })
}

/** @throws {RelayError} UNSUPPORTED_MEDIA */
function checkIsForm({ headers, raw }: FastifyRequest): void {
  const type = headers['content-type'] ?? ''
  if (type === '') {
    if (hasBody(raw)) headers['content-type'] = FORM
    else delete headers['content-type']
    return
  }
  if (type.split(';', 1)[0]?.trim().toLowerCase() === FORM) return
  throw new RelayError('UNSUPPORTED_MEDIA', `content-type ${type.slice(0, 80)}: send the fields as ${FORM}`)
}
