import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { generateNodesList } from '../support/generate-nodes-list.js'
import { generateLoad, requireStatus } from '../support/load.js'
import { putFile } from '../support/put.js'
import type { Measurement, Row, RowContext } from '../support/row.js'
import { makeSignedFile } from '../support/sign.js'
import { sharedFilePath, startSingleRelay } from '../support/single-relay.js'

const NODES = 100_000
const RELOADS = 4
const CONNECTIONS = 50
/** Far from what it can do: a full load would measure the queue of requests, not the reload. */
const REQUESTS_PER_SECOND = 1_000
const MOST_MS = 50
const FILE_BYTES = 4_096
const PAUSE_MS = 500

export const reload100k: Row = {
  name: 'reload-100k',
  what: "HEADs while a nodes list of 100,000 is reloaded: the slowest, and the event loop's greatest delay",
  reference: '–',
  bound: `under ${MOST_MS} ms`,
  run: measureReload
}

async function measureReload(context: RowContext): Promise<Measurement> {
  const { relay, signer } = await startSingleRelay(context, { nodes: generateNodesList(NODES) })
  const signed = await makeSignedFile(join(context.folder, 'small'), FILE_BYTES, signer)
  await putFile(relay.url(sharedFilePath('small', 'ttl=1day')), signed.bodyFile)
  const lists = await makeLists(relay.setup.nodes)
  const path = relay.path(sharedFilePath('small', `hash=${signed.hash}`))
  const untilFile = join(context.folder, 'enough')
  // What the program does for the first time takes longer; an agent's thousandth HEAD is what counts.
  await generateLoad({ port: relay.setup.port, method: 'HEAD', path, connections: CONNECTIONS, seconds: 2 })

  const load = generateLoad({
    port: relay.setup.port,
    method: 'HEAD',
    path,
    connections: CONNECTIONS,
    perSecond: REQUESTS_PER_SECOND,
    untilFile
  })
  await delay(PAUSE_MS)
  await relay.metrics()
  const delays: number[] = []
  try {
    for (let round = 0; round < RELOADS; round += 1) {
      await writeFile(join(relay.setup.folder, 'nodeslist.json'), lists[round % lists.length] ?? '')
      const startedAt = performance.now()
      await relay.post('system/reload')
      const tookMs = performance.now() - startedAt
      await delay(PAUSE_MS)
      const delayMs = (await relay.metrics()).eventLoopDelayMs()
      context.say(`reload ${round + 1}: ${tookMs.toFixed(0)} ms, event loop held up ${delayMs.toFixed(1)} ms`)
      delays.push(delayMs)
    }
  } finally {
    await writeFile(untilFile, '')
  }
  const result = await load
  requireStatus(result, 200)
  return {
    checks: [
      { what: 'slowest HEAD', value: result.maxMs, unit: 'ms', bound: { atMost: MOST_MS } },
      { what: 'event loop delay', value: Math.max(...delays), unit: 'ms', bound: { atMost: MOST_MS } }
    ],
    notes: [
      `${result.requests} HEADs, p99 ${result.p99Ms.toFixed(1)} ms; the load generator itself was held up ${result.generatorStallMs.toFixed(1)} ms at most`
    ]
  }
}

/** Two lists that differ in every host name, so that a reload has all its work to do. */
async function makeLists(nodes: Readonly<Record<string, { readonly hostname: string }>>): Promise<string[]> {
  const renamed = Object.fromEntries(
    Object.entries(nodes).map(([id, node]) => [id, { ...node, hostname: `x${node.hostname.slice(1)}` }])
  )
  return [JSON.stringify(renamed, null, 2), JSON.stringify(nodes, null, 2)]
}
