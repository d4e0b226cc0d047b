import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { startLinkedFleet } from '../support/linked-nodes.js'
import { residentMib } from '../support/memory.js'
import type { Relay } from '../support/relay.js'
import { median } from '../support/rounds.js'
import type { Measurement, Row, RowContext } from '../support/row.js'

const COUNT = 10_000
const MOST_MIB = 750
const MOST_IDLE_SHARE = 0.05
const IDLE_SECONDS = 30
const MOST_RECONNECT_SECONDS = 30
const MOST_ANSWER_MS = 500
const MOST_RUN_SECONDS = 4

export const links10000: Row = {
  name: 'links-10000',
  what: '10,000 linked nodes on one relay, TLS: memory, idle; a run of all; all cut at once',
  reference: '–',
  bound: `${MOST_MIB} MB resident, idle under 5 % of a core; run under ${MOST_RUN_SECONDS} s; back within ${MOST_RECONNECT_SECONDS} s, the API answering within ${MOST_ANSWER_MS} ms`,
  run: measure
}

async function measure(context: RowContext): Promise<Measurement> {
  const { relay, nodes } = await startLinkedFleet(context, COUNT)
  nodes.start()
  const openSeconds = await nodes.until(COUNT)
  context.say(`all connected in ${openSeconds.toFixed(1)} s`)
  await delay(5_000) // what connecting left is collected
  const idleShare = await cpuShare(relay, IDLE_SECONDS)
  const mib = residentMib(relay.pid)
  context.say(`${mib.toFixed(0)} MiB, idle at ${(idleShare * 100).toFixed(1)} % of a core`)
  const runs = [await runAll(relay), await runAll(relay), await runAll(relay)]
  context.say(`runs: ${runs.map(run => `${run.seconds.toFixed(2)} s, ${run.done} done`).join('; ')}`)
  const storm = await measureStorm(relay, nodes)
  context.say(`back in ${storm.seconds.toFixed(1)} s, slowest answer ${storm.slowestMs.toFixed(0)} ms`)
  const seconds = median(runs.map(run => run.seconds))
  const fewest = Math.min(...runs.map(run => run.done))
  if (fewest !== COUNT) throw new Error(`only ${fewest} of ${COUNT} nodes were reported as done`)
  return {
    checks: [
      { what: 'resident', value: mib, unit: 'MiB', bound: { atMost: MOST_MIB } },
      {
        what: 'CPU time of a second, idle',
        value: idleShare * 1000,
        unit: 'ms',
        bound: { atMost: MOST_IDLE_SHARE * 1000 }
      },
      { what: 'run of all', value: seconds, unit: 's', bound: { atMost: MOST_RUN_SECONDS } },
      { what: 'all back', value: storm.seconds, unit: 's', bound: { atMost: MOST_RECONNECT_SECONDS } },
      { what: 'slowest answer meanwhile', value: storm.slowestMs, unit: 'ms', bound: { atMost: MOST_ANSWER_MS } }
    ],
    notes: [
      `all connected in ${openSeconds.toFixed(1)} s at first`,
      `resident after the storm: ${residentMib(relay.pid).toFixed(0)} MiB`
    ]
  }
}

/** CPU time over time, of one core. */
async function cpuShare(relay: Relay, seconds: number): Promise<number> {
  const before = cpuTicks(relay.pid)
  const startedAt = performance.now()
  await delay(seconds * 1000)
  return (cpuTicks(relay.pid) - before) / 100 / ((performance.now() - startedAt) / 1000)
}

/** In hundredths of a second (proc(5): utime and stime). */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return Number(fields[11]) + Number(fields[12])
}

async function runAll(relay: Relay): Promise<{ seconds: number; done: number }> {
  const startedAt = performance.now()
  const response = await fetch(relay.url('remote-run/all'), {
    method: 'POST',
    headers: { accept: 'application/x-ndjson' },
    body: new URLSearchParams({ keep_output: 'true' })
  })
  const text = await response.text()
  const seconds = (performance.now() - startedAt) / 1000
  return { seconds, done: text.split('"outcome":"done","exit_code":0').length - 1 }
}

async function measureStorm(
  relay: Relay,
  nodes: { connected: number; cut(): void; until(count: number): Promise<number> }
) {
  let slowestMs = 0
  let isOver = false
  const probing = (async () => {
    while (!isOver) {
      const startedAt = performance.now()
      await (await fetch(relay.url('system/status'))).text()
      slowestMs = Math.max(slowestMs, performance.now() - startedAt)
      await delay(10)
    }
  })()
  const startedAt = performance.now()
  nodes.cut()
  while (nodes.connected === COUNT) await delay(1)
  await nodes.until(COUNT)
  const seconds = (performance.now() - startedAt) / 1000
  isOver = true
  await probing
  return { seconds, slowestMs }
}
