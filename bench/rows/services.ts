import { readFileSync } from 'node:fs'
import { open, truncate } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { run } from '../support/child.js'
import { generateLoad, requireStatus } from '../support/load.js'
import { peakDuring, residentMib } from '../support/memory.js'
import { interleave, median, secondsOf } from '../support/rounds.js'
import type { Check, Measurement, Row, RowContext } from '../support/row.js'
import { type Measured, startServices } from '../support/services.js'

const GIB = 1024 ** 3
const ROUNDS = 5
const SECONDS = 3
const CONNECTIONS = 50
const MOST_MIB_ABOVE_IDLE = 64
const UPGRADES = 1_000
const MOST_KIB_PER_UPGRADE = 24
const REFERENCE = 'nginx proxy_pass, one worker, without TLS'
/** The kernel counts processor time in hundredths of a second (`USER_HZ`). */
const TICK_MS = 10

export const serviceSmall: Row = {
  name: 'service-small',
  what: 'HTTP through a key, one level, 1 KiB, 50 connections',
  reference: REFERENCE,
  bound: 'at least 0.3 of its requests a second; at most 5 times its processor time for each',
  run: measureSmall
}

export const serviceNewConnections: Row = {
  name: 'service-new-connections',
  what: 'the same, each request on a connection of its own',
  reference: REFERENCE,
  bound: 'at least 0.25 of its requests a second',
  async run(context) {
    const { nginx, port } = await startServices(context)
    const medians = await interleave({
      count: ROUNDS,
      measure: () => rateOf(port, '/v1/relay/one/1k', true),
      reference: () => rateOf(nginx.port, '/1k', true),
      say: context.say
    })
    return { checks: [{ what: 'requests', ...medians, unit: '/s', bound: { atLeast: 0.25 } }] }
  }
}

export const serviceLatency: Row = {
  name: 'service-latency',
  what: 'the same, one request at a time, over one and two levels',
  reference: 'the level before',
  bound: 'at most 0.3 ms more for each level',
  run: measureLatency
}

export const service1Gib: Row = {
  name: 'service-1gib',
  what: 'a download of 1 GiB through a key, one level, and two',
  reference: REFERENCE,
  bound: `at least 0.65 of its rate, 0.4 over two levels; ${MOST_MIB_ABOVE_IDLE} MiB above idle in each process`,
  run: context => measureBulk(context, 'down')
}

export const service1GibUp: Row = {
  name: 'service-1gib-up',
  what: 'an upload of 1 GiB through a key, one level, and two',
  reference: REFERENCE,
  bound: `at least 0.6 of its rate; ${MOST_MIB_ABOVE_IDLE} MiB above idle in each process`,
  run: context => measureBulk(context, 'up')
}

export const serviceUpgrades: Row = {
  name: 'service-upgrades',
  what: `${UPGRADES} idle connections that became another protocol, through one key`,
  reference: 'none',
  bound: `at most ${MOST_KIB_PER_UPGRADE} KiB each, in relay and client`,
  run: measureUpgrades
}

async function rateOf(port: number, path: string, isOnce = false): Promise<number> {
  const result = await generateLoad({ port, method: 'GET', path, connections: CONNECTIONS, seconds: SECONDS, isOnce })
  requireStatus(result, 200)
  return result.perSecond
}

async function measureSmall(context: RowContext): Promise<Measurement> {
  const { nginx, port, root, clientOne } = await startServices(context)
  const microseconds = { ours: [] as number[], theirs: [] as number[] }
  const measured = async (pids: readonly number[], times: number[], work: () => Promise<number>): Promise<number> => {
    const before = processorMs(pids)
    const rate = await work()
    times.push(((processorMs(pids) - before) * 1_000) / (rate * SECONDS))
    return rate
  }
  const medians = await interleave({
    count: ROUNDS,
    measure: () => measured([root.pid, clientOne.pid], microseconds.ours, () => rateOf(port, '/v1/relay/one/1k')),
    reference: () => measured([nginx.workerPid], microseconds.theirs, () => rateOf(nginx.port, '/1k')),
    say: context.say
  })
  const ratios = microseconds.ours.map((value, index) => value / (microseconds.theirs[index] ?? Number.NaN))
  return {
    checks: [
      { what: 'requests', ...medians, unit: '/s', bound: { atLeast: 0.3 } },
      {
        what: 'processor time for each, relay and client together',
        value: median(microseconds.ours),
        reference: median(microseconds.theirs),
        ratio: median(ratios.slice(1)),
        unit: 'µs',
        bound: { atMost: 5 }
      }
    ],
    notes: ["nginx's worker serves the file as well, in both cases"]
  }
}

async function measureLatency(context: RowContext): Promise<Measurement> {
  const { nginx, port } = await startServices(context)
  const medianOf = async (at: number, path: string) => {
    const result = await generateLoad({ port: at, method: 'GET', path, connections: 1, seconds: SECONDS })
    requireStatus(result, 200)
    return result.p50Ms
  }
  const added = { one: [] as number[], two: [] as number[] }
  for (let round = 0; round <= ROUNDS; round += 1) {
    const direct = await medianOf(nginx.port, '/1k')
    const one = await medianOf(port, '/v1/relay/one/1k')
    const two = await medianOf(port, '/v1/relay/two/1k')
    context.say(`round ${round}: ${direct.toFixed(2)}, ${one.toFixed(2)}, ${two.toFixed(2)} ms`)
    if (round === 0) continue
    added.one.push(one - direct)
    added.two.push(two - one)
  }
  const check = (what: string, values: readonly number[]): Check => ({
    what,
    value: median(values),
    unit: 'ms',
    bound: { atMost: 0.3 }
  })
  return { checks: [check('the first level, beyond nginx', added.one), check('the second level', added.two)] }
}

async function measureBulk(context: RowContext, direction: 'down' | 'up'): Promise<Measurement> {
  const services = await startServices(context, direction === 'down' ? 'files' : 'sink')
  const { nginx, port, root, below, clientOne, clientTwo } = services
  const file = join(context.folder, direction === 'down' ? 'nginx/files/large' : 'large')
  await (await open(file, 'w')).close()
  await truncate(file, GIB)
  const processes: readonly Measured[] = [root, below, clientOne, clientTwo]
  await delay(1_000)
  const idleMib = processes.map(({ pid }) => residentMib(pid))
  const mostMib = [...idleMib]
  const rate = async (at: number, path: string): Promise<number> => {
    const transfer = () => curl(direction, `http://127.0.0.1:${at}${path}`, file)
    const { result, peaksMib } = await peakDuring(
      processes.map(({ pid }) => pid),
      () => secondsOf(transfer)
    )
    for (const [index, peak] of peaksMib.entries()) mostMib[index] = Math.max(mostMib[index] ?? 0, peak)
    return GIB / 1024 ** 2 / result
  }
  const reference = () => rate(nginx.port, '/large')
  const compare = (key: string) =>
    interleave({ count: ROUNDS, measure: () => rate(port, `/v1/relay/${key}/large`), reference, say: context.say })
  const one = await compare('one')
  const two = await compare('two')
  const least = direction === 'down' ? [0.65, 0.4] : [0.6, 0.4]
  return {
    checks: [
      { what: 'MiB a second, one level', ...one, unit: '/s', bound: { atLeast: least[0] ?? 1 } },
      { what: 'MiB a second, two levels', ...two, unit: '/s', bound: { atLeast: least[1] ?? 1 } },
      ...processes.map(({ what }, index) => ({
        what: `memory above idle, ${what}`,
        value: (mostMib[index] ?? 0) - (idleMib[index] ?? 0),
        unit: 'MiB' as const,
        bound: { atMost: MOST_MIB_ABOVE_IDLE }
      }))
    ]
  }
}

async function curl(direction: 'down' | 'up', url: string, file: string): Promise<void> {
  const options = ['--silent', '--show-error', '--fail', '--output', '/dev/null', '--write-out', '%{size_download}']
  const upload = ['--header', 'Expect:', '--upload-file', file]
  const size = await run('curl', [...options, ...(direction === 'up' ? upload : []), url])
  if (direction === 'down' && Number(size) !== GIB) throw new Error(`${url}: ${size} bytes`)
}

async function measureUpgrades(context: RowContext): Promise<Measurement> {
  const { port, root, clientOne } = await startServices(context, 'sink')
  const processes = [root, clientOne]
  await openUpgrades(context, port, 50)
  await delay(2_000)
  const before = processes.map(({ pid }) => residentMib(pid))
  const startedAt = performance.now()
  await openUpgrades(context, port, UPGRADES)
  const seconds = (performance.now() - startedAt) / 1_000
  await delay(5_000)
  return {
    checks: processes.map(({ what, pid }, index) => ({
      what: `memory of each connection, ${what}`,
      value: ((residentMib(pid) - (before[index] ?? 0)) * 1_024) / UPGRADES,
      unit: 'KiB' as const,
      bound: { atMost: MOST_KIB_PER_UPGRADE }
    })),
    notes: [`opened one after another in ${seconds.toFixed(1)} s; each sent and got 5 bytes`]
  }
}

async function openUpgrades(context: RowContext, port: number, count: number): Promise<void> {
  for (let opened = 0; opened < count; opened += 1) {
    const socket = createConnection({ host: '127.0.0.1', port })
    context.cleanup.add(async () => void socket.destroy())
    let text = ''
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1')
        if (text.endsWith('hello')) resolve()
        else if (text.startsWith('HTTP/1.1 5')) reject(new Error(text))
      })
      socket.write(
        'GET /v1/relay/one/up HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello'
      )
    })
  }
}

/** Processor time that processes have used, user and system, in ms. */
function processorMs(pids: readonly number[]): number {
  return pids
    .map(pid => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [])
    .reduce((sum, fields) => sum + (Number(fields[11]) + Number(fields[12])) * TICK_MS, 0)
}
