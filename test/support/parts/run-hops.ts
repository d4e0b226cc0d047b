import { PassThrough, pipeline, Readable } from 'node:stream'
import { RELAYD, TREELINE } from '../../../src/hops/dialect.js'
import type { Hop, HopOutcome, HopRequest } from '../../../src/hops/hop.js'
import { NDJSON, PASSED_HEADER, RUN_ID_HEADER } from '../../../src/network/header-names.js'
import type { RemoteRuns, Run, RunEvent } from '../../../src/remote-run/run-types.js'
import { RelayError } from '../../../src/values/failures/relay-error.js'
import { parsePassed } from '../../../src/values/passed-relays.js'
import { orderOf } from './remote-runs.js'

/** A hop whose requests are kept, answered by a function. */
export interface TestHop extends Hop {
  readonly requests: HopRequest[]
}

export function hopOf(
  id: string,
  answer: (request: HopRequest) => HopOutcome | Promise<HopOutcome>,
  isTreeline = true
): TestHop {
  const requests: HopRequest[] = []
  return {
    id,
    dialect: isTreeline ? TREELINE : RELAYD,
    requests,
    async request(request) {
      requests.push(request)
      request.signal?.throwIfAborted()
      const outcome = await answer(request)
      if (outcome.kind !== 'unreachable') {
        request.signal?.addEventListener('abort', () => outcome.body.destroy(new Error('aborted')))
      }
      return outcome
    }
  }
}

export function formOf(request: HopRequest): URLSearchParams {
  return new URLSearchParams(request.body?.().toString())
}

export function answered(contentType: string, body: Readable): HopOutcome {
  return { kind: 'answered', status: 200, headers: { 'content-type': contentType }, body }
}

export function refused(status: number, text: string): HopOutcome {
  return {
    kind: 'refused',
    status,
    headers: { 'content-type': 'text/plain' },
    body: Readable.from([Buffer.from(text)])
  }
}

/** Lines of NDJSON for events without `seq` and `run`, which are added. */
export function ndjson(events: readonly Omit<RunEvent, 'seq' | 'run'>[], firstSeq = 1): string {
  return events.map((event, index) => `${JSON.stringify({ seq: firstSeq + index, run: 'below', ...event })}\n`).join('')
}

/** A sub-relay in the same process: real runs, reached as the API would be. `lose()` breaks what streams now. */
export function relayHop(id: string, runs: RemoteRuns): TestHop & { lose(): void } {
  const streams = new Set<Readable>()
  const stream = (run: Run, after: number): HopOutcome => {
    const gone = new AbortController()
    // a stream of its own, as a socket is: `Readable.from` closes only when its generator gives way
    const body = new PassThrough()
    pipeline(Readable.from(lines(run, after, gone.signal)), body, () => undefined)
    streams.add(body)
    body.once('close', () => {
      streams.delete(body)
      const isBroken = !body.readableEnded
      gone.abort(new Error('the caller has gone'))
      if (isBroken && !run.order.asynchronous) run.cancel('the caller has gone').catch(() => undefined)
    })
    return answered(NDJSON, body)
  }
  const hop = hopOf(id, async request => {
    const [, runId = '', action = '', after = '0'] = /^runs\/(\w+)\/(\w+)(?:\?after=(\d+))?$/.exec(request.path) ?? []
    if (action === '') return stream(await startBelow(runs, request), 0)
    const run = await runs.find(runId)
    if (run === undefined) return refused(404, 'no such run')
    if (action === 'events') return stream(run, Number(after))
    await run.cancel('cancelled above')
    return answered('application/json', Readable.from([Buffer.from('{}')]))
  })
  return Object.assign(hop, {
    lose() {
      for (const body of streams) body.destroy(new Error('the line was cut'))
    }
  })
}

async function* lines(run: Run, after: number, signal: AbortSignal): AsyncGenerator<string> {
  for await (const event of run.events(after, signal)) yield `${JSON.stringify(event)}\n`
}

async function startBelow(runs: RemoteRuns, request: HopRequest): Promise<Run> {
  const form = formOf(request)
  if (request.path !== 'remote-run/all' && request.path !== 'remote-run/nodes') {
    throw new RelayError('NOT_FOUND', request.path)
  }
  const order = orderOf({
    nodes: request.path === 'remote-run/all' ? 'all' : (form.get('nodes') ?? '').split(','),
    keepOutput: form.get('keep_output') === 'true',
    asynchronous: form.get('asynchronous') === 'true',
    conditions: (form.get('classes') ?? '').split(',').filter(name => name !== ''),
    runId: request.headers[RUN_ID_HEADER]
  })
  const passed = parsePassed(request.headers[PASSED_HEADER])
  return runs.start({ ...order, origin: { ...order.origin, passed } })
}

/** The answer of a linked node that has run. */
export function done(node: string): HopOutcome {
  const events = [
    { event: 'node', node, outcome: 'running' },
    { event: 'output', node, stream: 'stdout', data: `said ${node}\n` },
    { event: 'node', node, outcome: 'done', exit_code: 0 },
    { event: 'end', outcome: 'done' }
  ] as const
  return answered(NDJSON, Readable.from([Buffer.from(ndjson(events))]))
}

/** The links of these hops, by their ids. */
export function linkOf(...hops: readonly Hop[]) {
  return (id: string) => hops.find(hop => hop.id === id)
}
