import assert from 'node:assert/strict'
import { createServer, type ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import { freePorts } from '../../demo/free-ports.js'
import { startTreeline, treeline } from '../support/machine/treeline-command.js'
import { type Handler, type SmallRequest, startSmallRelay } from '../support/relays/small-relay.js'

const NDJSON = 'application/x-ndjson'

/** Answers with events, numbered; the stream ends after the last. */
function sendEvents(response: ServerResponse, events: readonly object[]): void {
  response.writeHead(200, { 'content-type': NDJSON, 'treeline-run-id': 'R1' })
  for (const [index, event] of events.entries())
    response.write(`${JSON.stringify({ seq: index + 1, run: 'R1', ...event })}\n`)
  response.end()
}

const done = (node: string, exitCode = 0) => ({ event: 'node', node, outcome: 'done', exit_code: exitCode })
const START = { event: 'start' }
const END = { event: 'end', outcome: 'done' }

function formOf(request: SmallRequest | undefined): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(request?.body.toString()))
}

/** Runs each node of a list: those whose name begins with `bad` fail. */
const runList: Handler = (request, response) => {
  const nodes = (formOf(request).nodes ?? '').split(',')
  sendEvents(response, [START, ...nodes.map(node => done(node, node.startsWith('bad') ? 3 : 0)), END])
}

async function run(t: TestContext, handlers: Record<string, Handler>, ...args: string[]) {
  const relay = await startSmallRelay(t, handlers)
  return { relay, ...(await treeline(t, ['run', '--server', relay.url, ...args])) }
}

test('with --wait, an order whose answer was cut off is given again under its id', async t => {
  let orders = 0
  const cutOffTwice: Handler = (_, response) => {
    orders += 1
    if (orders === 1) response.destroy()
    else if (orders === 2)
      response.writeHead(200, { 'content-type': NDJSON, 'content-length': '100' }).write('{', () => response.destroy())
    else sendEvents(response, [START])
  }
  const { code, stdout, stderr, relay } = await run(t, { 'POST remote-run/all': cutOffTwice }, '--all', '--wait', '1h')
  assert.deepEqual([code, stdout], [0, 'R1\n'], stderr)
  assert.equal(new Set(relay.requests.map(({ headers }) => headers['treeline-order-id'])).size, 1)
  const [first, second] = stderr.split('\n')
  assert.match(first ?? '', /ended before its answer: it may have taken the order.*\(tried again until /)
  assert.doesNotMatch(first ?? '', /TLS/)
  assert.match(second ?? '', /broke off/)
  orders = 0
  const once = await treeline(t, ['run', '--all', '--async', '--server', relay.url])
  assert.equal(once.code, 1)
  assert.match(once.stderr, /may have taken the order: see treeline runs list/)
})

test('output comes with the name of its node, and all done is exit code 0', async t => {
  const handlers: Record<string, Handler> = {
    'POST remote-run/all': (_, response) =>
      sendEvents(response, [
        START,
        { event: 'node', node: 'a', outcome: 'running' },
        { event: 'output', node: 'a', stream: 'stdout', data: 'one\ntwo\n' },
        { event: 'alive' },
        { event: 'output', node: 'b', stream: 'stdout', data: 'three' },
        done('a'),
        done('b'),
        END
      ])
  }
  const { code, stdout, stderr, relay } = await run(t, handlers, '--all', '--conditions', 'x,y_1')
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'a: one\na: two\nb: three\n2 of 2 done\n', stderr: '' })
  const [request] = relay.requests
  assert.equal(request?.headers.accept, NDJSON)
  const form = { keep_output: 'true', asynchronous: 'false', conditions: 'x,y_1', classes: 'x,y_1' }
  assert.deepEqual(formOf(request), form)
})

test('each failure is a line, and the exit code is 1', async t => {
  const handlers: Record<string, Handler> = {
    'POST remote-run/nodes': (_, response) =>
      sendEvents(response, [
        START,
        done('a'),
        done('b', 7),
        { event: 'node', node: 'c', outcome: 'unreachable', message: 'relay2: \u001b[2Jno route' },
        { event: 'error', relay: 'relay2', message: 'cannot be reached' },
        END
      ])
  }
  const { code, stdout, stderr } = await run(t, handlers, 'a', 'b', 'c', 'd', '--no-output')
  assert.equal(code, 1)
  assert.equal(stdout, '1 of 4 done, 1 failed, 1 unreachable, 1 unknown, 1 error\n')
  assert.deepEqual(stderr.split('\n'), [
    'b: failed, exit code 7',
    'c: unreachable: relay2: ?[2Jno route',
    'error: relay2: cannot be reached',
    ''
  ])
})

test('--json prints the events and a summary', async t => {
  const { code, stdout } = await run(t, { 'POST remote-run/nodes': runList }, 'a', 'bad', '--json')
  assert.equal(code, 1)
  const lines = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as unknown)
  assert.deepEqual(lines[1], { seq: 2, run: 'R1', ...done('a') })
  const summary = { event: 'summary', success: false, outcomes: { done: 1, failed: 1 }, not_started: 0 }
  assert.deepEqual(lines.at(-1), summary)
})

test('batches roll over the nodes below, and stop at too many failures', async t => {
  const nodes = ['root', 'a', 'b', 'bad1', 'bad2', 'c', 'd', 'e', 'f'].map(id => ({ id, below: id !== 'root' }))
  const handlers: Record<string, Handler> = {
    'GET nodes': ({ query }) =>
      query.get('after') === null ? { nodes: nodes.slice(0, 5), next: 'bad2' } : { nodes: nodes.slice(5) },
    'POST remote-run/nodes': runList
  }
  const { code, stdout, stderr, relay } = await run(t, handlers, '--all', '--batch', '25%', '--max-failures', '1')
  assert.equal(code, 1)
  const batches = relay.requests.filter(request => request.method === 'POST').map(request => formOf(request).nodes)
  assert.deepEqual(batches, ['a,b', 'bad1,bad2'])
  assert.equal(stdout, '2 of 4 done, 2 failed, 4 not started\n')
  assert.match(stderr, /more than 1 failed \(--max-failures\): the rest is not run/)
  const all = await run(t, handlers, '--all', '--batch', '3', '--max-failures', '2')
  assert.equal(all.stdout, '6 of 8 done, 2 failed\n')
})

test('an answer that ends early, or a connection that breaks, is a failure', async t => {
  const early = { 'POST remote-run/all': ((_, response) => sendEvents(response, [START, done('a')])) as Handler }
  const first = await run(t, early, '--all')
  assert.equal(first.code, 1)
  assert.match(first.stderr, /ended its answer before the run ended/)
  const broken: Record<string, Handler> = {
    'POST remote-run/all': (_, response) => {
      response.writeHead(200, { 'content-type': NDJSON })
      response.write(`${JSON.stringify({ seq: 1, run: 'R1', ...done('a') })}\n`, () => response.destroy())
    }
  }
  const second = await run(t, broken, '--all')
  assert.equal(second.code, 1)
  assert.match(second.stderr, /connection broke/)
})

test('nodes of a batch that breaks off count as failed before the next batch begins', async t => {
  const breaksOff: Handler = (_, response) => {
    response.writeHead(200, { 'content-type': NDJSON })
    response.write(`${JSON.stringify({ seq: 1, run: 'R1', ...START })}\n`, () => response.destroy())
  }
  const handlers = { 'POST remote-run/nodes': breaksOff }
  const args = ['a', 'b', 'c', 'd', '--batch', '2', '--max-failures', '1']
  const { code, stdout, stderr, relay } = await run(t, handlers, ...args)
  assert.equal(code, 1)
  assert.deepEqual(
    relay.requests.map(request => formOf(request).nodes),
    ['a,b']
  )
  assert.equal(stdout, '0 of 2 done, 2 unknown, 1 error, 2 not started\n')
  assert.match(stderr, /more than 1 failed \(--max-failures\): the rest is not run/)
})

test('Ctrl-C closes the request, says what is known, and is exit code 130', async t => {
  let closed: (() => void) | undefined
  const gone = new Promise<void>(resolve => {
    closed = resolve
  })
  const relay = await startSmallRelay(t, {
    'POST remote-run/nodes': (_, response) => {
      response.on('close', () => closed?.())
      response.writeHead(200, { 'content-type': NDJSON })
      response.write(`${JSON.stringify({ seq: 1, event: 'output', run: 'R1', node: 'a', data: 'working\n' })}\n`)
    }
  })
  const command = startTreeline(t, ['run', 'a', '--server', relay.url])
  await command.printed('working')
  command.child.kill('SIGINT')
  const { code, stdout, stderr } = await command.ended
  await gone
  assert.equal(code, 130)
  assert.match(stdout, /0 of 1 done, 1 cancelled/)
  assert.match(stderr, /interrupted: the run is cancelled/)
})

test('--timeout cancels what is not done', async t => {
  const silent: Handler = (_, response) => {
    response.writeHead(200, { 'content-type': NDJSON }).flushHeaders()
  }
  const { code, stderr } = await run(t, { 'POST remote-run/nodes': silent }, 'a', '--timeout', '200ms')
  assert.equal(code, 1)
  assert.match(stderr, /--timeout: not done in time/)
})

test('--async prints the id and leaves', async t => {
  const handlers: Record<string, Handler> = {
    'POST remote-run/all': (_, response) => {
      response.writeHead(200, { 'content-type': NDJSON })
      response.write(`${JSON.stringify({ seq: 1, event: 'start', run: 'R1' })}\n`)
    }
  }
  const { code, stdout, relay } = await run(t, handlers, '--all', '--async')
  assert.deepEqual([code, stdout], [0, 'R1\n'])
  assert.equal(formOf(relay.requests[0]).asynchronous, 'true')
})

test('a run on all nodes where there are none has run nothing, which is no success', async t => {
  const handlers: Record<string, Handler> = {
    'POST remote-run/all': (_, response) => sendEvents(response, [{ ...START, node_count: 0 }, END]),
    'GET nodes': () => ({ nodes: [{ id: 'relay-1', hostname: 'x', below: false }] })
  }
  for (const batch of [[], ['--batch', '5'], ['--async'], ['--wait', '10s']]) {
    const { code, stderr } = await run(t, handlers, '--all', ...batch)
    assert.deepEqual([code, stderr], [1, 'treeline: no node is below this relay: nothing was run\n'], batch.join(' '))
  }
})

test('a relay that speaks text alone, and one that refuses', async t => {
  const text: Handler = (_, response) => {
    response.writeHead(200, { 'content-type': 'text/plain' }).end('done\n')
  }
  const existing = await run(t, { 'POST remote-run/all': text }, '--all')
  assert.equal(existing.code, 1)
  assert.match(existing.stderr, /plain text alone/)
  const refused = await run(t, {}, '--all')
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /refused \(404\)/)
})

test('what makes no sense is exit code 2, and nothing is asked', async t => {
  const relay = await startSmallRelay(t)
  const server = ['--server', relay.url]
  const wrong = [
    [],
    ['--all', 'a'],
    ['a/b'],
    ['a', '--conditions', 'x~'],
    ['a', '--batch', '0'],
    ['a', '--batch', '101%']
  ]
  for (const args of [...wrong, ['a', '--async', '--batch', '1'], ['a', '--max-failures', 'x'], ['a', '--what']]) {
    const { code, stderr } = await treeline(t, ['run', ...server, ...args])
    assert.equal(code, 2, `${args.join(' ')}: ${stderr}`)
  }
  assert.equal(relay.requests.length, 0)
})

test('a mistake is told with the option that it is in', async t => {
  const both = await treeline(t, ['run', '--all', 'node-1'])
  assert.match(both.stderr, /leave out the names, or --all/)
  const timeout = await treeline(t, ['run', '--all', '--timeout', 'soon'])
  assert.match(timeout.stderr, /^treeline: --timeout: invalid duration: "soon"/)
  assert.deepEqual([both.code, timeout.code], [2, 2])
})

test('--wait waits for a relay that takes nothing now, within its time, and for nothing else', async t => {
  let answers = [503, 502]
  const handlers: Record<string, Handler> = {
    'POST remote-run/all': (_, response) => {
      const status = answers.shift()
      if (status === undefined) sendEvents(response, [START])
      else response.writeHead(status).end(`reason of ${status}\n`)
    }
  }
  const relay = await startSmallRelay(t, handlers)
  const ask = (wait: string) => treeline(t, ['run', '--all', '--server', relay.url, '--wait', wait])
  const taken = await ask('1h')
  assert.deepEqual([taken.code, taken.stdout], [0, 'R1\n'])
  const lines = taken.stderr.trim().split('\n')
  assert.match(lines[0] ?? '', /^treeline: the relay refused \(503\): reason of 503 \(tried again until 20.*Z\)$/)
  assert.match(lines[1] ?? '', /reason of 502/)
  assert.equal(lines.length, 2)
  const waits = relay.requests.map(request => Number(formOf(request).wait))
  assert.equal(waits[0], 3_600)
  assert.ok((waits[2] ?? 0) < 3_600 && (waits[2] ?? 0) > 3_000, 'what is left of it')
  answers = [403]
  const refused = await ask('1h')
  assert.deepEqual([refused.code, refused.stderr], [1, 'treeline: the relay refused (403): reason of 403\n'])
  answers = [503, 503, 503, 503]
  const late = await ask('1s')
  assert.equal(late.code, 1)
  assert.match(late.stderr, /\ntreeline: not taken until 20.*Z: the relay refused \(503\)/)
})

test('--wait waits for a relay that is being started', async t => {
  const [port = 0] = await freePorts(1)
  const command = startTreeline(t, ['run', '--all', '--wait', '1h', '--server', `http://127.0.0.1:${port}`])
  await new Promise<void>(resolve => {
    command.child.stderr?.on('data', text => {
      if (String(text).includes('nothing listens there; is the relay running? (tried again')) resolve()
    })
  })
  const server = createServer((_, response) => sendEvents(response, [START]))
  server.listen(port, '127.0.0.1')
  t.after(() => server.close())
  const { code, stdout } = await command.ended
  assert.deepEqual([code, stdout], [0, 'R1\n'])
})
