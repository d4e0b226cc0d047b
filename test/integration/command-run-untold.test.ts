import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { treeline } from '../support/machine/treeline-command.js'
import { startSmallRelay } from '../support/relays/small-relay.js'

const END = { event: 'end', outcome: 'done' }
const done = (node: string) => ({ event: 'node', node, outcome: 'done', exit_code: 0 })

/** The command at a relay that tells these events of a run. */
async function runTold(t: TestContext, events: readonly object[]) {
  const relay = await startSmallRelay(t, {
    'POST remote-run/all': (_, response) => {
      response.writeHead(200, { 'content-type': 'application/x-ndjson', 'treeline-run-id': 'R1' })
      response.end(events.map((event, at) => `${JSON.stringify({ seq: at + 1, run: 'R1', ...event })}\n`).join(''))
    }
  })
  return treeline(t, ['run', '--server', relay.url, '--all'])
}

test('nodes of which a relay tells nothing are no success, and the run is named', async t => {
  const two = await runTold(t, [{ event: 'start', node_count: 3 }, done('a'), done('b'), END])
  assert.deepEqual([two.code, two.stdout], [1, '2 of 2 done, 1 error\n'])
  assert.match(two.stderr, /did not tell what became of 1 node: see treeline runs show R1/)
  const none = await runTold(t, [END])
  assert.equal(none.code, 1)
  assert.match(none.stderr, /did not tell what became of each node: see treeline runs show R1/)
  assert.doesNotMatch(none.stderr, /nothing was run/)
})
