import { generateLoad, requireStatus } from '../support/load.js'
import { interleave } from '../support/rounds.js'
import type { Measurement, Row, RowContext } from '../support/row.js'
import { startTwoBranches } from '../support/two-branches.js'

const CONNECTIONS = 50
const ROUNDS = 5
const SECONDS_PER_ROUND = 3
const LEAST_SHARE = 0.6

export const linkSmall: Row = {
  name: 'link-small',
  what: 'small requests over a link, 50 at a time',
  reference: 'the same over direct keep-alive HTTPS',
  bound: `at least ${LEAST_SHARE} of it`,
  run: measure
}

/** HEADs that the root has to ask its sub-relay for, each time anew. */
async function measure(context: RowContext): Promise<Measurement> {
  const { root } = await startTwoBranches(context)
  const rate = async (branch: string): Promise<number> => {
    const result = await generateLoad({
      port: root.setup.port,
      method: 'HEAD',
      // a hash of its own each time: requests for the same one would share an answer
      path: root.path(`shared-files/target-${branch}/source/none?hash=${'0'.repeat(8)}{n}`),
      connections: CONNECTIONS,
      seconds: SECONDS_PER_ROUND
    })
    requireStatus(result, 404)
    return result.perSecond
  }
  const medians = await interleave({
    count: ROUNDS,
    measure: () => rate('linked'),
    reference: () => rate('direct'),
    say: context.say
  })
  return { checks: [{ what: 'requests', ...medians, unit: '/s', bound: { atLeast: LEAST_SHARE } }] }
}
