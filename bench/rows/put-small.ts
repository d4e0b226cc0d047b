import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { runProgram } from '../support/child.js'
import { generateLoad, requireStatus } from '../support/load.js'
import { interleave } from '../support/rounds.js'
import type { Measurement, Row, RowContext } from '../support/row.js'
import { makeSignedFile } from '../support/sign.js'
import { sharedFilePath, startSingleRelay } from '../support/single-relay.js'

const FILE_BYTES = 4_096
const AT_ONCE = 50
const FILES_PER_ROUND = 5_000
const ROUNDS = 5
const LEAST_SHARE = 0.5

export const putSmall: Row = {
  name: 'put-4kib',
  what: 'PUT of 4 KiB files, 50 at a time, per second',
  reference: 'a loop in Node that writes, fsyncs and renames two small files, 50 at a time',
  bound: `at least ${LEAST_SHARE} of it`,
  run: measurePuts
}

async function measurePuts(context: RowContext): Promise<Measurement> {
  const { relay, signer } = await startSingleRelay(context)
  const signed = await makeSignedFile(join(context.folder, 'small'), FILE_BYTES, signer)
  const medians = await interleave({
    count: ROUNDS,
    measure: async round => {
      const result = await generateLoad({
        port: relay.setup.port,
        method: 'PUT',
        path: relay.path(sharedFilePath(`round-${round}-{n}`, 'ttl=1day')),
        connections: AT_ONCE,
        count: FILES_PER_ROUND,
        bodyFile: signed.bodyFile
      })
      requireStatus(result, 200)
      return result.perSecond
    },
    reference: async () => {
      const folder = join(context.folder, 'two-files')
      const options = { folder, count: FILES_PER_ROUND, atOnce: AT_ONCE, sizeBytes: FILE_BYTES }
      const { perSecond } = (await runProgram('two-files-program', options)) as { perSecond: number }
      await rm(folder, { recursive: true })
      return perSecond
    },
    say: context.say
  })
  return { checks: [{ what: 'files', ...medians, unit: '/s', bound: { atLeast: LEAST_SHARE } }] }
}
