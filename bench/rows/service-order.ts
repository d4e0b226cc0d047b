import { open, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../support/child.js'
import { median, secondsOf } from '../support/rounds.js'
import type { Measurement, Row, RowContext } from '../support/row.js'
import { type BenchServices, startServices } from '../support/services.js'

const MIB = 1024 ** 2
const FILE_BYTES = 256 * MIB
const ORDERS = 200
const DOWNLOADS = 3
const MOST_MORE_MS = 20
/** Each lane moves 32 MiB a second while orders are under way (docs/links.md). */
const LEAST_OF_RATE = 0.1

export const serviceOrder: Row = {
  name: 'service-order',
  what: 'an order to a relay below while a service is downloaded over the same link, 99th percentile',
  reference: 'the same without the download, and the download without orders',
  bound: `under ${MOST_MORE_MS} ms more; at least ${LEAST_OF_RATE} of the rate`,
  run: measure
}

async function measure(context: RowContext): Promise<Measurement> {
  const services = await startServices(context)
  await (await open(join(context.folder, 'nginx/files/large'), 'w')).close()
  await truncate(join(context.folder, 'nginx/files/large'), FILE_BYTES)
  await download(services) // the lane of the streams opens, and the code is compiled
  const rateAlone = median(await rates(services, index => index < DOWNLOADS))
  context.say(`the download alone: ${Math.round(rateAlone)} MiB/s`)
  const alone = await orders(services, ORDERS)
  context.say(`orders alone: ${describe(alone)}`)
  let isOrdering = true
  const downloads = rates(services, () => isOrdering)
  const beside = await orders(services, ORDERS)
  isOrdering = false
  const rateBeside = median(await downloads)
  const notes = [
    `orders alone ${describe(alone)}; beside the download ${describe(beside)}`,
    `the download alone ${Math.round(rateAlone)} MiB/s, beside orders one after another ${Math.round(rateBeside)} MiB/s`
  ]
  for (const note of notes) context.say(note)
  return {
    checks: [
      {
        what: '99th percentile, more than alone',
        value: percentile(beside, 0.99) - percentile(alone, 0.99),
        unit: 'ms',
        bound: { atMost: MOST_MORE_MS }
      },
      {
        what: 'MiB a second of the service beside orders',
        value: rateBeside,
        reference: rateAlone,
        ratio: rateBeside / rateAlone,
        bound: { atLeast: LEAST_OF_RATE },
        unit: '/s'
      }
    ],
    notes
  }
}

/** How long each of so many orders took, to its end, in ms; sorted. */
async function orders({ rootRelay }: BenchServices, count: number): Promise<number[]> {
  const times: number[] = []
  for (let order = 0; order < count; order += 1) {
    times.push(1_000 * (await secondsOf(() => rootRelay.post('remote-run/nodes/leaf', { keep_output: 'true' }))))
  }
  return times.sort((a, b) => a - b)
}

/** The rates of downloads one after another, in MiB a second. */
async function rates(services: BenchServices, goesOn: (index: number) => boolean): Promise<number[]> {
  const values: number[] = []
  for (let index = 0; goesOn(index); index += 1) values.push(await download(services))
  return values
}

async function download({ port }: BenchServices): Promise<number> {
  const options = ['--silent', '--show-error', '--fail', '--output', '/dev/null']
  return (
    FILE_BYTES / MIB / (await secondsOf(() => run('curl', [...options, `http://127.0.0.1:${port}/v1/relay/two/large`])))
  )
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

function describe(sorted: readonly number[]): string {
  const at = (share: number) => percentile(sorted, share).toFixed(1)
  return `median ${at(0.5)}, 99 % ${at(0.99)}, most ${at(1)} ms`
}
