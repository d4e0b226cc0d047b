import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Cleanup } from '../support/cleanup.js'
import { generateNodesList } from '../support/generate-nodes-list.js'
import { peakResidentMib } from '../support/memory.js'
import { Relay } from '../support/relay.js'
import { writeRelayFolder } from '../support/relay-folder.js'
import { median } from '../support/rounds.js'
import type { Measurement, Row, RowContext } from '../support/row.js'
import { singleRelaySetup } from '../support/single-relay.js'

const NODES = 100_000
const ROUNDS = 5
const MOST_SECONDS_NEW = 1
const MOST_SECONDS_UNCHANGED = 0.5
const MOST_MIB = 200

export const start100k: Row = {
  name: 'start-100k',
  what: 'start with a nodes list of 100,000: new, and unchanged since the last start',
  reference: '–',
  bound: `ready within ${MOST_SECONDS_NEW} s, and within ${MOST_SECONDS_UNCHANGED} s; ${MOST_MIB} MB resident`,
  run: measureStart
}

async function measureStart(context: RowContext): Promise<Measurement> {
  const setup = await singleRelaySetup(context, generateNodesList(NODES))
  await writeRelayFolder(setup)
  const [last] = Object.keys(setup.nodes).slice(-1)
  const peaksMib: number[] = []

  /** Ready, and it knows the last node of the list. */
  const start = async (what: string): Promise<{ seconds: number; mib: number }> => {
    const cleanup = new Cleanup()
    try {
      const relay = await Relay.startAgain(setup, cleanup)
      const answer = await fetch(relay.url(`nodes/${last}`))
      await answer.arrayBuffer()
      if (!answer.ok) throw new Error(`ready without the nodes list: nodes/${last} answers ${answer.status}`)
      const mib = await relay.idleMib()
      peaksMib.push(peakResidentMib(relay.pid))
      context.say(`${what}: ${relay.readyMs.toFixed(0)} ms, ${mib.toFixed(0)} MiB`)
      return { seconds: relay.readyMs / 1000, mib }
    } finally {
      await cleanup.run()
    }
  }

  const fresh: { seconds: number; mib: number }[] = []
  const unchanged: { seconds: number; mib: number }[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    await rm(join(setup.folder, 'state'), { recursive: true, force: true })
    fresh.push(await start('new'))
    unchanged.push(await start('unchanged'))
  }
  const seconds = (starts: typeof fresh) => median(starts.map(one => one.seconds))
  const mib = Math.max(...[...fresh, ...unchanged].map(one => one.mib))
  return {
    checks: [
      { what: 'ready, new', value: seconds(fresh), unit: 's', bound: { atMost: MOST_SECONDS_NEW } },
      { what: 'ready, unchanged', value: seconds(unchanged), unit: 's', bound: { atMost: MOST_SECONDS_UNCHANGED } },
      { what: 'resident', value: mib, unit: 'MiB', bound: { atMost: MOST_MIB } }
    ],
    notes: [`at most ${Math.max(...peaksMib).toFixed(0)} MiB while it started`]
  }
}
