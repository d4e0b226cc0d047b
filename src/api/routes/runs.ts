import { Readable } from 'node:stream'
import { NDJSON, RUN_ID_HEADER } from '../../network/header-names.js'
import type { NodeRecord, RunRecord } from '../../remote-run/records/run-record.js'
import type { Run } from '../../remote-run/run-types.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { isRunId } from '../../values/runs/run-id.js'
import { isoTime } from '../../values/time/iso-time.js'
import { eventLines } from '../answers/run-event-lines.js'
import { originOf } from '../callers/request-origin.js'
import { type Routes, Type } from '../schema.js'
import type { Services } from '../services.js'

const MAX_PAGE = 1_000
const DEFAULT_PAGE = 100

const RunMembers = {
  id: Type.String(),
  state: Type.String(),
  asked_by: Type.String(),
  nodes: Type.String(),
  conditions: Type.Array(Type.String()),
  keep_output: Type.Boolean(),
  asynchronous: Type.Boolean(),
  started_at: Type.Time(),
  ended_at: Type.Optional(Type.Time()),
  wait_until: Type.Optional(Type.Time({ description: 'until when it waits for nodes that are not connected' })),
  counts: Type.Record(Type.Integer())
}
const RunSchema = Type.Object(RunMembers)

const NodeSchema = Type.Object({
  node: Type.String(),
  via: Type.Optional(Type.String({ description: 'the sub-relay that it is below' })),
  reached: Type.Optional(
    Type.String({
      description: 'link, direct (a sub-relay without a link) or command, where this relay runs it itself'
    })
  ),
  outcome: Type.String(),
  exit_code: Type.Optional(Type.Integer()),
  started_at: Type.Optional(Type.Time()),
  duration_ms: Type.Optional(Type.Integer()),
  message: Type.Optional(Type.String()),
  unreached: Type.Optional(
    Type.Object({
      from: Type.String({ description: 'the last one that was reached, which may be levels below' }),
      to: Type.String({ description: 'the hop at which the way to the node ended' }),
      reason: Type.String()
    })
  )
})

const RunId = Type.Object({ runId: Type.String({ description: 'a ULID' }) })
const Limit = Type.Integer({ minimum: 1, maximum: MAX_PAGE, default: DEFAULT_PAGE })

/** Records of runs: `GET runs`, `GET runs/<id>`, `GET runs/<id>/events`, `POST runs/<id>/cancel`. */
export const runRoutes: Routes<{ services: Pick<Services, 'remoteRuns' | 'stopping'> }> = async (app, { services }) => {
  const { remoteRuns, stopping } = services
  const config = { access: 'runs' } as const
  const tags = ['remote run']

  app.get(
    '/runs',
    {
      config,
      schema: {
        tags,
        summary: 'The newest runs first',
        querystring: Type.Object({ limit: Limit, before: Type.Optional(Type.String()) }),
        response: { 200: Type.Object({ runs: Type.Array(RunSchema) }) }
      }
    },
    async ({ query }) => ({ runs: (await remoteRuns.list(query.limit, query.before)).map(showRun) })
  )

  app.get(
    '/runs/:runId',
    {
      config,
      schema: {
        tags,
        summary: 'One run, and what became of each node',
        params: RunId,
        querystring: Type.Object({ limit: Limit, after: Type.Optional(Type.String()) }),
        response: {
          200: Type.Object({ ...RunMembers, node_records: Type.Array(NodeSchema), next: Type.Optional(Type.String()) })
        }
      }
    },
    async ({ params, query }) => {
      const record = isRunId(params.runId) ? await remoteRuns.record(params.runId) : undefined
      if (record === undefined) throw unknownRun(params.runId)
      const nodes = await remoteRuns.nodeRecords(params.runId, query.limit, query.after)
      const last = nodes.length === query.limit ? nodes.at(-1) : undefined
      return {
        ...showRun(record),
        node_records: nodes.map(showNode),
        ...(last === undefined ? {} : { next: last.node })
      }
    }
  )

  app.get(
    '/runs/:runId/events',
    {
      config,
      schema: {
        tags,
        summary: 'The events of a run, from disk and then as they come',
        params: RunId,
        produces: [NDJSON],
        describedResponse: { 200: Type.String({ description: 'An event a line' }) },
        querystring: Type.Object({
          after: Type.Integer({ minimum: 0, default: 0, description: 'seq of the last event seen' })
        })
      }
    },
    async (request, reply) => {
      const run = await findRun(request.params.runId)
      const { signal } = originOf(request, reply, stopping, { lasts: true })
      reply.type(NDJSON).header(RUN_ID_HEADER, run.id)
      return reply.send(Readable.from(eventLines(run.events(request.query.after, signal)), { objectMode: false }))
    }
  )

  app.post(
    '/runs/:runId/cancel',
    {
      config,
      schema: {
        tags,
        summary: 'Cancel what is left of a run, down to the processes',
        params: RunId,
        response: { 200: RunSchema }
      }
    },
    async request => {
      const run = await findRun(request.params.runId)
      await run.cancel(`cancelled by ${request.caller.id ?? request.caller.kind}`)
      const record = await remoteRuns.record(run.id)
      if (record === undefined) throw unknownRun(run.id)
      return showRun(record)
    }
  )

  async function findRun(id: string): Promise<Run> {
    const run = isRunId(id) ? await remoteRuns.find(id) : undefined
    if (run === undefined) throw unknownRun(id)
    return run
  }
}

function unknownRun(id: string): RelayError {
  return new RelayError(
    'NOT_FOUND',
    `no run ${JSON.stringify(id.slice(0, 40))}: it never was here, or is past remote_run.retention`
  )
}

function showRun(run: RunRecord) {
  return {
    id: run.id,
    state: run.state,
    asked_by: run.askedBy,
    nodes: run.nodes,
    conditions: [...run.conditions],
    keep_output: run.keepOutput,
    asynchronous: run.asynchronous,
    started_at: isoTime(run.startedAtMs),
    ...(run.endedAtMs === undefined ? {} : { ended_at: isoTime(run.endedAtMs) }),
    ...(run.waitUntilMs === undefined ? {} : { wait_until: isoTime(run.waitUntilMs) }),
    counts: { ...run.counts }
  }
}

function showNode(record: NodeRecord) {
  return {
    node: record.node,
    ...(record.via === undefined ? {} : { via: record.via }),
    ...(record.reached === undefined ? {} : { reached: record.reached }),
    outcome: record.outcome,
    ...(record.exitCode === undefined ? {} : { exit_code: record.exitCode }),
    ...(record.startedAtMs === undefined ? {} : { started_at: isoTime(record.startedAtMs) }),
    ...(record.durationMs === undefined ? {} : { duration_ms: record.durationMs }),
    ...(record.message === undefined ? {} : { message: record.message }),
    ...(record.unreached === undefined ? {} : { unreached: record.unreached })
  }
}
