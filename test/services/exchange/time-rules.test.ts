import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { eventually } from '../../support/eventually.js'
import { holdTimers } from '../../support/held-timers.js'
import { startProcess } from '../../support/machine/treeline-command.js'
import { startRawService, testOverLevels } from '../../support/parts/raw-services.js'

const GET = 'GET /v1/relay/git/x HTTP/1.1\r\nHost: e\r\n\r\n'
const FULL = join(import.meta.dirname, '../../support/network/full-listener.mjs')
const CONNECT_LIMIT_MS = 10_000
/** The state of a connection whose beginning was not answered, in `/proc/net/tcp`. */
const SYN_SENT = '02'

/** A port whose listener answers no further connection. */
async function startFullListener(t: TestContext): Promise<number> {
  const running = startProcess(t, process.execPath, [FULL], {})
  await running.printed('at ')
  const port = Number(/at (\d+)/.exec(running.soFar())?.[1])
  const fillers = Array.from({ length: 4 }, () => connect({ port, host: '127.0.0.1' }).on('error', () => undefined))
  t.after(() => fillers.forEach(filler => void filler.destroy()))
  await eventually('a full backlog', async () => (await statesTo(port)).filter(state => state === SYN_SENT).length > 0)
  return port
}

/** The states of connections to a port of loopback. */
async function statesTo(port: number): Promise<readonly string[]> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  const rows = (await readFile('/proc/net/tcp', 'utf8')).split('\n').map(line => line.trim().split(/\s+/))
  return rows.filter(([, , remote = '']) => remote.endsWith(`:${hex}`)).map(([, , , state = '']) => state)
}

test('a service that cannot be connected to is a 502 after 10 s', async t => {
  const otherPort = await startFullListener(t)
  const tree = await startRawService(t, { otherPort })
  const before = (await statesTo(otherPort)).length
  const timers = holdTimers(t, ms => ms === CONNECT_LIMIT_MS)
  const caller = tree.call().send(GET)
  await eventually('a try to connect', async () => (await statesTo(otherPort)).length > before)
  assert.equal(caller.text, '')
  assert.equal(timers.count, 1, 'a limit for the connection, and none else')
  timers.fire()
  assert.match(await caller.until(/\r\n\r\n.+\n$/), /^HTTP\/1\.1 502 [\s\S]*no answer from the service: ETIMEDOUT\n$/)
})

/** Waits until a connection has had its end by the limit of unused ones, at the entry and at the service. */
async function outliveUnused(tree: Awaited<ReturnType<typeof startRawService>>): Promise<void> {
  const caller = tree.call().send(GET)
  const service = await tree.accepted()
  await service.until(/\r\n\r\n/)
  service.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  await caller.until(/ok$/)
  await Promise.all([caller.closed(), service.closed()])
}

testOverLevels(
  'a request whose answer, body or upgrade is silent outlives all limits of unused connections',
  async (t, levels) => {
    const tree = await startRawService(t, { levels, limits: { headMs: 1_000, idleMs: 1_000 } })
    const open = async (request: string, answer: string) => {
      const caller = tree.call().send(request)
      const service = await tree.accepted()
      await service.until(/\r\n\r\n/)
      service.send(answer)
      if (answer !== '') await caller.until(/\r\n\r\n/)
      return { caller, service }
    }
    const used = await open(GET, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    used.caller.text = used.service.text = ''
    used.caller.send(GET) // over connections that were unused for a moment
    await used.service.until(/\r\n\r\n/)
    const waiting = await open(GET, '')
    const begun = await open(GET, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n')
    const sending = await open(GET.replace('GET', 'POST').replace('\r\n\r\n', '\r\nContent-Length: 5\r\n\r\n'), '')
    const upgrade = GET.replace('\r\n\r\n', '\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')
    const raw = await open(upgrade, 'HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')
    await outliveUnused(tree)
    for (const { service } of [used, waiting]) service.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nalive')
    begun.service.send('alive')
    raw.service.send('alive')
    for (const { caller } of [used, waiting, begun, raw]) await caller.until(/\r\n\r\nalive$/)
    sending.caller.send('alive')
    await sending.service.until(/\r\n\r\nalive$/)
    raw.caller.send('alive')
    await raw.service.until(/\r\n\r\nalive$/)
  }
)
