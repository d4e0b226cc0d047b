import type { Measurement, Row, RowContext } from '../support/row.js'
import { measureRoute } from '../tree-route.js'

const NODES = 100_000
const MOST_MICROSECONDS = 1
const NS_PER_MICROSECOND = 1_000
const MIB = 1024 * 1024

export const route100k: Row = {
  name: 'route-100k',
  what: '`route` in a tree of 100,000',
  reference: '–',
  bound: `under ${MOST_MICROSECONDS} µs`,
  run: measure
}

async function measure({ say }: RowContext): Promise<Measurement> {
  say(`building a tree of ${NODES} nodes`)
  const { nsPerRoute, indexBytes } = await measureRoute(NODES)
  const value = nsPerRoute / NS_PER_MICROSECOND
  return {
    checks: [{ what: 'one call', value, unit: 'µs', bound: { atMost: MOST_MICROSECONDS } }],
    notes: [`the index takes ${(indexBytes / MIB).toFixed(0)} MiB`]
  }
}
