import { join } from 'node:path'
import { peakDuring } from '../support/memory.js'
import { warmPageCache } from '../support/page-cache.js'
import { putFile } from '../support/put.js'
import { interleave, secondsOf } from '../support/rounds.js'
import type { Measurement, Row, RowContext } from '../support/row.js'
import { makeSignedFile } from '../support/sign.js'
import { startTwoBranches } from '../support/two-branches.js'

const GIB = 1024 ** 3
const ROUNDS = 3
/** Both relays have one, and the lower one that of the round before. */
const COPIES = 3
const LEAST_SHARE = 0.7
const MOST_MIB_ABOVE_IDLE = 64
const BOUND = `at least ${LEAST_SHARE} of its rate; ${MOST_MIB_ABOVE_IDLE} MiB above idle at each end`

export const link1Gib: Row = {
  name: 'link-1gib',
  what: 'one file of 1 GiB down a TLS link',
  reference: 'the same file down direct HTTPS',
  bound: BOUND,
  run: context => measure(context, 'down')
}

/** The lower end masks all that it sends (RFC 6455, section 5.3): sending costs it more than the upper end. */
export const link1GibUp: Row = {
  name: 'link-1gib-up',
  what: 'one file of 1 GiB up a TLS link',
  reference: 'the same file up direct HTTPS',
  bound: BOUND,
  run: context => measure(context, 'up')
}

async function measure(context: RowContext, direction: 'down' | 'up'): Promise<Measurement> {
  const { root, direct, linked, signer } = await startTwoBranches(context)
  const signed = await makeSignedFile(join(context.folder, 'large'), GIB, signer)
  const branches = { direct, linked }
  const urlOf = (branch: keyof typeof branches) =>
    direction === 'down'
      ? root.url(`shared-files/target-${branch}/source/large?ttl=1day`)
      : branches[branch].url(`shared-files/root/source-${branch}/large?ttl=1day`)
  const relays = [root, linked]
  const idleMib = await Promise.all(relays.map(relay => relay.idleMib()))
  const mostMib = [...idleMib]
  const rate = async (branch: keyof typeof branches): Promise<number> => {
    await warmPageCache(context.folder, COPIES * GIB)
    const work = () => secondsOf(() => putFile(urlOf(branch), signed.bodyFile))
    const pids = relays.map(relay => relay.pid)
    const { result, peaksMib } = await peakDuring(pids, work)
    if (branch === 'linked')
      for (const [index, peak] of peaksMib.entries()) mostMib[index] = Math.max(mostMib[index] ?? 0, peak)
    return GIB / 1024 ** 2 / result
  }
  const medians = await interleave({
    count: ROUNDS,
    measure: () => rate('linked'),
    reference: () => rate('direct'),
    say: context.say
  })
  const memory = (index: number, what: string) => ({
    what: `memory above idle, ${what}`,
    value: (mostMib[index] ?? 0) - (idleMib[index] ?? 0),
    unit: 'MiB' as const,
    bound: { atMost: MOST_MIB_ABOVE_IDLE }
  })
  return {
    checks: [
      { what: 'MiB a second, from the first byte to the end', ...medians, unit: '/s', bound: { atLeast: LEAST_SHARE } },
      memory(0, 'upper end'),
      memory(1, 'lower end')
    ],
    notes: ['both include the way from curl to the first relay, which comes before']
  }
}
