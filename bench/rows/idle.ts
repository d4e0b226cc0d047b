import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Cleanup } from '../support/cleanup.js'
import { Relay } from '../support/relay.js'
import { listedNode } from '../support/relay-folder.js'
import { median } from '../support/rounds.js'
import type { Measurement, Row, RowContext } from '../support/row.js'
import { singleRelaySetup } from '../support/single-relay.js'

const ROUNDS = 7
const MOST_MIB = 90
const MOST_SECONDS = 0.5

export const idle: Row = {
  name: 'idle',
  what: 'idle relay',
  reference: '–',
  bound: `under ${MOST_MIB} MB resident, ready within ${MOST_SECONDS} s of start`,
  run: measureIdle
}

async function measureIdle(context: RowContext): Promise<Measurement> {
  const setup = await singleRelaySetup(context, { root: listedNode('root.example.com', 'root') })
  const seconds: number[] = []
  const mib: number[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    const cleanup = new Cleanup()
    try {
      await rm(join(setup.folder, 'state'), { recursive: true, force: true })
      const relay = await Relay.start(setup, cleanup)
      seconds.push(relay.readyMs / 1000)
      mib.push(await relay.idleMib())
    } finally {
      await cleanup.run()
    }
    context.say(`start ${round + 1}: ${seconds.at(-1)?.toFixed(3)} s, ${mib.at(-1)?.toFixed(0)} MiB`)
  }
  return {
    checks: [
      { what: 'resident', value: median(mib), unit: 'MiB', bound: { atMost: MOST_MIB } },
      { what: 'ready', value: median(seconds), unit: 's', bound: { atMost: MOST_SECONDS } }
    ]
  }
}
