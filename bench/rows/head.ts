import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { endProcess, startProgram } from '../support/child.js'
import { generateNodesList } from '../support/generate-nodes-list.js'
import { generateLoad, type LoadResult, requireStatus } from '../support/load.js'
import { putFile } from '../support/put.js'
import { interleave } from '../support/rounds.js'
import type { Measurement, Row, RowContext } from '../support/row.js'
import { makeSignedFile } from '../support/sign.js'
import { sharedFilePath, startSingleRelay } from '../support/single-relay.js'

const CONNECTIONS = 50
const ROUNDS = 5
const SECONDS_PER_ROUND = 3
const FILE_BYTES = 4_096
const LEAST_SHARE = 0.6
/** A tree of this size has settled by then. */
const SETTLE_MS = 2_000

const common = {
  reference: 'an empty Fastify route answering HEAD',
  bound: `at least ${LEAST_SHARE} of it`
}

export const head: Row = {
  ...common,
  name: 'head',
  what: 'HEAD of a shared file, keep-alive, 50 connections',
  run: context => measureHead(context, 0)
}

export const head100k: Row = {
  ...common,
  name: 'head-100k',
  what: 'the same with 100,000 nodes',
  run: context => measureHead(context, 100_000)
}

async function measureHead(context: RowContext, nodeCount: number): Promise<Measurement> {
  const nodes = nodeCount === 0 ? {} : generateNodesList(nodeCount)
  const { relay, signer } = await startSingleRelay(context, { nodes })
  const signed = await makeSignedFile(join(context.folder, 'small'), FILE_BYTES, signer)
  await putFile(relay.url(sharedFilePath('small', 'ttl=1day')), signed.bodyFile)
  const empty = await startProgram('empty-fastify-program', {})
  context.cleanup.add(() => endProcess(empty.child))
  if (nodeCount > 0) await delay(SETTLE_MS)

  let busiest = 0
  const rate = async (port: number, path: string): Promise<number> => {
    const result: LoadResult = await generateLoad({
      port,
      method: 'HEAD',
      path,
      connections: CONNECTIONS,
      seconds: SECONDS_PER_ROUND
    })
    requireStatus(result, 200)
    busiest = Math.max(busiest, result.generatorLoad)
    return result.perSecond
  }
  const path = relay.path(sharedFilePath('small', `hash=${signed.hash}`))
  const medians = await interleave({
    count: ROUNDS,
    measure: () => rate(relay.setup.port, path),
    reference: () => rate(Number(empty.line), '/empty'),
    say: context.say
  })
  return {
    checks: [{ what: 'requests', ...medians, unit: '/s', bound: { atLeast: LEAST_SHARE } }],
    notes: [`the load generator used at most ${Math.round(busiest * 100)} % of a core`]
  }
}
