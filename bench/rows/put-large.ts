import { join } from 'node:path'
import { peakDuring, residentMib } from '../support/memory.js'
import { putFile } from '../support/put.js'
import { interleave, secondsOf } from '../support/rounds.js'
import type { Check, Measurement, Row, RowContext } from '../support/row.js'
import { makeSignedFile } from '../support/sign.js'
import { sharedFilePath, startSingleRelay } from '../support/single-relay.js'
import { secondsToVerifyAndCopy } from '../support/verify-and-copy.js'

const MIB = 1024 * 1024
const MOST_TIMES = 1.2
const MOST_MIB_ABOVE_IDLE = 48
const reference = '`openssl dgst -sha512 -verify`, `cp` and fsync of the same file'

export const put50Mib: Row = {
  name: 'put-50mib',
  what: 'PUT of 50 MiB, time',
  reference,
  bound: `at most ${MOST_TIMES} times`,
  run: context => measurePut(context, 50, 7, false)
}

export const put1Gib: Row = {
  name: 'put-1gib',
  what: 'PUT of 1 GiB, time, and resident memory above idle',
  reference,
  bound: `at most ${MOST_TIMES} times; ${MOST_MIB_ABOVE_IDLE} MiB`,
  run: context => measurePut(context, 1_024, 3, true)
}

async function measurePut(
  context: RowContext,
  sizeMib: number,
  count: number,
  isMemoryBound: boolean
): Promise<Measurement> {
  const { relay, signer } = await startSingleRelay(context)
  const signed = await makeSignedFile(join(context.folder, 'large'), sizeMib * MIB, signer)
  const idleMib = await relay.idleMib()
  let mostMib = residentMib(relay.pid)
  let files = 0
  const medians = await interleave({
    count,
    // A new file each time, as the reference makes one: replacing a large file takes the time of removing the old one.
    measure: async () => {
      files += 1
      const url = relay.url(sharedFilePath(`large${files}`, 'ttl=1day'))
      const { result, peaksMib } = await peakDuring([relay.pid], () => secondsOf(() => putFile(url, signed.bodyFile)))
      mostMib = Math.max(mostMib, ...peaksMib)
      return result
    },
    reference: () => secondsToVerifyAndCopy(signed, join(context.folder, 'copy')),
    say: context.say
  })
  const time: Check = { what: 'time', ...medians, unit: 's', bound: { atMost: MOST_TIMES } }
  const aboveIdle = mostMib - idleMib
  if (!isMemoryBound) return { checks: [time], notes: [`${aboveIdle.toFixed(0)} MiB above idle at most`] }
  const memory: Check = {
    what: 'memory above idle',
    value: aboveIdle,
    unit: 'MiB',
    bound: { atMost: MOST_MIB_ABOVE_IDLE }
  }
  return { checks: [time, memory] }
}
