import { Readable } from 'node:stream'
import type { FastifyBaseLogger, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { FORM, NDJSON, ORDER_ID_HEADER, RUN_ID_HEADER } from '../../network/header-names.js'
import { renderText, type TextOptions } from '../../remote-run/event-log/text-output.js'
import type { Run, RunOrder } from '../../remote-run/run-types.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { checkNodeId, isNodeId } from '../../values/ids.js'
import { parseConditions } from '../../values/runs/conditions.js'
import { isUlid, orderKeyOf } from '../../values/runs/run-id.js'
import { LONGEST_WAIT_S } from '../../values/runs/run-wait-limit.js'
import { showOnOneLine } from '../../values/text/shown-text.js'
import { trimBlanks } from '../../values/text/trim-blanks.js'
import { eventLines } from '../answers/run-event-lines.js'
import { dropForm } from '../bodies/form-memory.js'
import { headerText, originOf } from '../callers/request-origin.js'
import { Type } from '../schema.js'
import type { Services } from '../services.js'

type Form = Readonly<Record<string, unknown>>

const FORM_DESCRIPTION =
  'keep_output, asynchronous: true or false. conditions (or classes): comma-separated. nodes: comma-separated node ids, ' +
  'for remote-run/nodes alone. wait: seconds that nodes which are not connected are waited for, in an asynchronous run.'

const FLAG = { enum: ['true', 'false'], default: 'false' }

const FIELDS = {
  keep_output: FLAG,
  asynchronous: FLAG,
  conditions: { type: 'string', description: 'comma-separated' },
  classes: { type: 'string', description: 'older name of conditions' },
  wait: { type: 'integer', minimum: 0, maximum: LONGEST_WAIT_S, default: 0, description: 'seconds' }
}

const SCHEMA = {
  describedBody: { type: 'object', properties: FIELDS },
  tags: ['remote run'],
  description: `Form fields: ${FORM_DESCRIPTION} With Accept: ${NDJSON} the answer is one JSON event a line.`,
  consumes: [FORM],
  produces: ['text/plain', NDJSON],
  response: {
    200: Type.String({ description: 'What the agents said, or nothing' }),
    502: Type.String({ description: 'Synchronous, and nothing at all could be started' })
  }
}

const LIST_BODY = {
  type: 'object',
  properties: { ...FIELDS, nodes: { type: 'string', description: 'comma-separated node ids' } },
  required: ['nodes']
}

interface RemoteRunOptions {
  readonly services: Pick<Services, 'remoteRuns' | 'stopping'>
  readonly logger: FastifyBaseLogger
  /** Whether answers in text have what was said on standard error. */
  readonly withStderr: () => boolean
}

/** `POST remote-run/…` (contract, "Remote run"). */
export const remoteRunRoutes: FastifyPluginAsync<RemoteRunOptions> = async (app, { services, logger, withStderr }) => {
  const config = { access: 'remote-run' } as const

  async function answer(
    request: FastifyRequest,
    reply: FastifyReply,
    which: Pick<RunOrder, 'nodes' | 'isSingle'>
  ): Promise<FastifyReply> {
    const form = formOf(request)
    const origin = originOf(request, reply, services.stopping, { lasts: true })
    const asynchronous = readFlag(form, 'asynchronous')
    const waitMs = readWait(form, asynchronous)
    const run = await services.remoteRuns.start({
      ...which,
      keepOutput: readFlag(form, 'keep_output'),
      asynchronous,
      conditions: readConditions(form),
      waitUntilMs: waitMs === 0 ? undefined : Date.now() + waitMs,
      runId: request.caller.kind === 'policy-server' ? headerText(request, RUN_ID_HEADER) : undefined,
      orderKey: readOrderKey(request, asynchronous),
      origin
    })
    dropForm(request) // a run may last for an hour, and runs have a bound of their own
    reply.header(RUN_ID_HEADER, run.id)
    if (!asynchronous) cancelWhenCallerLeaves(run, origin.signal, logger)
    return sendRun(request, reply, run, origin.signal, { withStderr: withStderr() })
  }

  app.post(
    '/remote-run/all',
    { config, schema: { ...SCHEMA, summary: 'Run every node below this relay' } },
    (request, reply) => answer(request, reply, { nodes: 'all' })
  )
  app.post(
    '/remote-run/nodes',
    { config, schema: { ...SCHEMA, summary: 'Run the nodes of a list', describedBody: LIST_BODY } },
    (request, reply) => answer(request, reply, { nodes: readNodes(formOf(request)) })
  )
  app.post<{ Params: { nodeId: string } }>(
    '/remote-run/nodes/:nodeId',
    { config, schema: { ...SCHEMA, summary: 'Run one node', params: Type.Object({ nodeId: Type.String() }) } },
    (request, reply) => {
      const { nodeId } = request.params
      checkNodeId(nodeId)
      return answer(request, reply, { nodes: [nodeId], isSingle: true })
    }
  )
}

async function sendRun(
  request: FastifyRequest,
  reply: FastifyReply,
  run: Run,
  signal: AbortSignal,
  options: TextOptions
): Promise<FastifyReply> {
  const { asynchronous, keepOutput } = run.order
  if (request.headers.accept?.includes(NDJSON)) {
    reply.type(NDJSON)
    return reply.send(Readable.from(eventLines(run.events(0, signal)), { objectMode: false }))
  }
  reply.type('text/plain; charset=utf-8')
  if (asynchronous && !keepOutput) return reply.send('')
  if (!asynchronous && !(await run.anyStarted)) {
    await run.ended
    return reply.code(502).send(Readable.from(renderText(run, signal, options), { objectMode: false }))
  }
  return reply.send(Readable.from(renderText(run, signal, options), { objectMode: false }))
}

/** A caller that goes away takes its synchronous run with it, down to the processes (design, "Nothing lost"). */
function cancelWhenCallerLeaves(run: Run, signal: AbortSignal, logger: FastifyBaseLogger): void {
  const cancel = () => {
    const reason = signal.reason instanceof RelayError ? signal.reason.message : 'the caller has gone'
    run.cancel(reason).catch((error: unknown) => logger.error({ run: run.id, err: error }, 'cannot cancel run'))
  }
  if (signal.aborted) cancel()
  else signal.addEventListener('abort', cancel, { once: true })
}

function formOf(request: FastifyRequest): Form {
  const { body } = request
  return typeof body === 'object' && body !== null ? { ...body } : {}
}

function readText(form: Form, name: string): string | undefined {
  const value = form[name]
  if (value === undefined || typeof value === 'string') return value
  throw new RelayError('INVALID_INPUT', `invalid ${name}: sent more than once`)
}

function readFlag(form: Form, name: string): boolean {
  const text = readText(form, name) ?? 'false'
  const value = text.toLowerCase() // Python writes True and False
  if (value === 'true' || value === 'false') return value === 'true'
  throw new RelayError('INVALID_INPUT', `invalid ${name}: ${text.slice(0, 80)}, should be true or false`)
}

/** Undefined: an order that its caller cannot give again. */
function readOrderKey(request: FastifyRequest, asynchronous: boolean): string | undefined {
  const { kind, id, address } = request.caller
  if (kind === 'policy-server') return undefined
  const orderId = headerText(request, ORDER_ID_HEADER)
  if (orderId === undefined || !asynchronous) return undefined
  if (!isUlid(orderId)) {
    throw new RelayError('INVALID_INPUT', `invalid ${ORDER_ID_HEADER}: ${orderId.slice(0, 80)}, should be a ULID`)
  }
  return orderKeyOf(orderId, `${kind} ${id ?? address}`)
}

/** The older name counts where the newer one says nothing, and has to be right in any case. */
function readConditions(form: Form): string[] {
  const conditions = parseConditions(readText(form, 'conditions') ?? '')
  const classes = parseConditions(readText(form, 'classes') ?? '')
  return conditions.length > 0 ? conditions : classes
}

/** In ms; 0: nodes that are not connected are not waited for. */
function readWait(form: Form, asynchronous: boolean): number {
  const text = readText(form, 'wait') ?? '0'
  const seconds = Number(text)
  if (!/^\d{1,6}$/.test(text) || seconds > LONGEST_WAIT_S) {
    throw new RelayError(
      'INVALID_INPUT',
      `invalid wait: ${text.slice(0, 80)}, should be 0 to ${LONGEST_WAIT_S} seconds`
    )
  }
  if (seconds > 0 && !asynchronous) {
    throw new RelayError('INVALID_INPUT', 'invalid wait: only a run with asynchronous=true can wait')
  }
  return seconds * 1_000
}

/**
 * The ids of a list, without blanks around them. One that can't be an id stops none of the others: it is in the list as
 * it can be shown, and unknown like any other that no node has.
 * @throws {RelayError} INVALID_INPUT where there is none, or none that can be an id
 */
function readNodes(form: Form): string[] {
  const list = (readText(form, 'nodes') ?? '').split(',').map(trimBlanks)
  const ids = list.filter(id => id !== '')
  const [first] = ids
  if (first === undefined) throw new RelayError('INVALID_INPUT', 'Missing nodes')
  if (!ids.some(isNodeId)) checkNodeId(first)
  return [...new Set(ids.map(id => (isNodeId(id) ? id : showOnOneLine(id))))]
}
