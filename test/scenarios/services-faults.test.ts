import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { freePorts } from '../../demo/free-ports.js'
import { eventually } from '../support/eventually.js'
import { startProcess } from '../support/machine/treeline-command.js'
import { startTcpProxy } from '../support/network/tcp-proxy.js'
import { startClientOf } from '../support/relays/clients.js'
import { startServiceTree } from '../support/relays/service-tree.js'
import { type RequestLoad, startRequestLoad } from '../support/work/request-load.js'

const SCRIPT = join(import.meta.dirname, '../support/network/counting-service.mjs')
/** Answers from the service after each fault, before the next one. */
const ANSWERS_BETWEEN = 60

/** A service three levels below the root, which two clients reach, and a load of requests to it. */
async function startLoadedTree(t: TestContext) {
  const links = ['ping_interval = "1s"', 'longest_wait = "1s"'] // a dead side is noticed within 2 s in place of 28
  const { tree, urlOf, untilKnown } = await startServiceTree(t, 'git', { links })
  const log = join(tree.folder, 'requests')
  await writeFile(log, '')
  const [port = 0] = await freePorts(1)
  const startService = async () => {
    const running = startProcess(t, process.execPath, [SCRIPT, String(port), log], {})
    await running.printed('at ')
    return running
  }
  const service = await startService()
  const proxy = await startTcpProxy(t, Number(new URL(tree.relay('low').url).port))
  const baseUrl = `http://127.0.0.1:${port}`
  const startClientNamed = (id: string, throughPort?: number) =>
    startClientOf(t, tree, { relay: 'low', key: 'git', id, baseUrl, ...(throughPort ? { throughPort } : {}) })
  const client = await startClientNamed('one')
  await startClientNamed('two', proxy.port)
  await untilKnown('middle>low', 'middle>low')
  const load = startRequestLoad(t, await urlOf('root'))
  return { tree, startService, service, client, startClient: startClientNamed, proxy, load, log }
}

function answered({ told }: RequestLoad): number {
  return told.filter(({ status }) => status === 200).length
}

/** Waits until the service answers again. */
async function untilAnswered(load: RequestLoad, what: string): Promise<void> {
  const before = answered(load)
  await eventually(`answers after ${what}`, () => answered(load) >= before + ANSWERS_BETWEEN || load.untold.length > 0)
}

/** Waits until all callers wait, and nobody is told anything. */
async function untilAllWait(load: RequestLoad, what: string): Promise<void> {
  let before = -1
  let looks = 0
  await eventually(`all wait: ${what}`, () => {
    looks = load.told.length === before ? looks + 1 : 0
    before = load.told.length
    return looks > 20
  })
}

test('whatever dies, freezes or is cut: each request is answered or told, and none comes twice unless it may', async t => {
  const { tree, startService, service, client, startClient, proxy, load, log } = await startLoadedTree(t)
  await untilAnswered(load, 'the start')

  service.child.kill('SIGKILL')
  await service.ended
  await eventually('refusals', () =>
    load.told.some(({ status, text }) => status === 502 && /ECONNREFUSED/.test(text ?? ''))
  )
  const second = await startService()
  await untilAnswered(load, 'a restart of the service')

  second.child.kill('SIGSTOP')
  await untilAllWait(load, 'the service is frozen')
  second.child.kill('SIGCONT')
  await untilAnswered(load, 'the service was frozen')

  client.child.kill('SIGKILL')
  await client.ended
  await untilAnswered(load, 'a client was killed')
  const third = await startClient('one')
  await untilAnswered(load, 'the client came back')

  third.child.kill('SIGSTOP')
  const lost = () => load.told.filter(({ status }) => status !== 200).length
  const lostBefore = lost()
  await eventually('a word of what the frozen client has', () => lost() > lostBefore)
  await untilAnswered(load, 'a client froze')
  third.child.kill('SIGCONT')
  await untilAnswered(load, 'the client goes on')

  for (let times = 0; times < 3; times += 1) {
    proxy.cut()
    await untilAnswered(load, 'a cut')
  }
  proxy.silence()
  await untilAnswered(load, 'packets were dropped')
  proxy.heal()
  await untilAnswered(load, 'packets pass again')

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const middle = tree.processes.get('middle')
    middle?.signal(signal)
    await middle?.ended
    await tree.restart('middle')
    await untilAnswered(load, `a restart of the relay between (${signal})`)
  }
  await load.stop()

  const statuses: Record<string, number> = {}
  for (const { status } of load.told) statuses[status ?? 'broken'] = (statuses[status ?? 'broken'] ?? 0) + 1
  t.diagnostic(JSON.stringify(statuses))
  assert.deepEqual(load.untold, [])
  const lines = (await readFile(log, 'utf8')).split('\n')
  const times = new Map<string, number>()
  for (const line of lines) times.set(line, (times.get(line) ?? 0) + 1)
  for (const { id, method, status, text } of load.told) {
    const came = times.get(`${method} ${id}`) ?? 0
    if (method !== 'GET') assert.ok(came <= 1, `${method} ${id} came ${came} times`)
    if (status === 200) assert.deepEqual([text, came > 0], [`answer to ${id}`, true])
    else assert.ok(status === undefined || status === 502, `${method} ${id}: ${status} ${text}`)
  }
})
