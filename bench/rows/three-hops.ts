import { join } from 'node:path'
import { peakDuring } from '../support/memory.js'
import { warmPageCache } from '../support/page-cache.js'
import { putFile } from '../support/put.js'
import { startRelayChain } from '../support/relay-chain.js'
import { interleave, secondsOf } from '../support/rounds.js'
import type { Check, Measurement, Row, RowContext } from '../support/row.js'
import { makeSignedFile } from '../support/sign.js'

const GIB = 1024 ** 3
const ROUNDS = 3
/** Each relay has one until the next has it, and the last relay that of the round before. */
const COPIES = 4
const MOST_TIMES = 3.5
const MOST_MIB_ABOVE_IDLE = 48

export const threeHops: Row = {
  name: 'three-hops-1gib',
  what: 'PUT of 1 GiB over three hops (root, relay, sub-relay, TLS)',
  reference: 'one hop',
  bound: `each relay at most ${MOST_MIB_ABOVE_IDLE} MiB; time at most ${MOST_TIMES} times`,
  run: measureThreeHops
}

async function measureThreeHops(context: RowContext): Promise<Measurement> {
  const { relays, httpsPorts, signer } = await startRelayChain(context)
  const signed = await makeSignedFile(join(context.folder, 'large'), GIB, signer)
  const idleMib = await Promise.all(relays.map(relay => relay.idleMib()))
  const pids = relays.map(relay => relay.pid)
  const mostMib = [...idleMib]
  const put = async (target: string): Promise<number> => {
    await warmPageCache(context.folder, COPIES * GIB)
    const url = `https://127.0.0.1:${httpsPorts[0]}/rudder/relay-api/shared-files/${target}/source/large?ttl=1day`
    const { result, peaksMib } = await peakDuring(pids, () => secondsOf(() => putFile(url, signed.bodyFile)))
    for (const [index, peak] of peaksMib.entries()) mostMib[index] = Math.max(mostMib[index] ?? 0, peak)
    return result
  }
  const medians = await interleave({
    count: ROUNDS,
    measure: () => put('target-2'),
    reference: () => put('target-0'),
    say: context.say
  })
  const time: Check = { what: 'time', ...medians, unit: 's', bound: { atMost: MOST_TIMES } }
  const memory = relays.map(
    (relay, index): Check => ({
      what: `memory above idle, ${relay.setup.nodeId}`,
      value: (mostMib[index] ?? 0) - (idleMib[index] ?? 0),
      unit: 'MiB',
      bound: { atMost: MOST_MIB_ABOVE_IDLE }
    })
  )
  return { checks: [time, ...memory] }
}
