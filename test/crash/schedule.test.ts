import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '../support/eventually.js'
import { MINUTES } from '../support/long.js'
import { steppingClock } from '../support/machine/stepping-clock.js'
import { ask } from '../support/network/http.js'
import { startTcpProxy } from '../support/network/tcp-proxy.js'
import { type AgentProcess, startAgent } from '../support/relays/agents.js'
import { proxyUpstream } from '../support/relays/relay-behind-proxy.js'
import { type RunningTree, startTree } from '../support/relays/relay-tree.js'
import { chooseSeed, seededRandom } from '../support/seeded-random.js'
import { NOTING_AGENT, StreamOfWork } from '../support/work/stream-of-work.js'

/** How long things go wrong; what comes after may take as long again. */
const FOR_MINUTES = MINUTES ?? 0.1
const RELAYS = [
  { id: 'root', under: 'root', nodes: ['node-r1'] },
  { id: 'relay-a', under: 'root', nodes: ['node-a1'], byLink: true },
  { id: 'sub', under: 'relay-a', nodes: ['node-s1'], byLink: true },
  { id: 'relay-b', under: 'root', nodes: ['node-b1'] }
]
const IDS = RELAYS.map(({ id }) => id)
/** How far the clocks of relays step, forward and back: well below the time to live of the files. */
const STEP_SECONDS = 600
/** Nodes that hold links of their own: they run themselves while these stand, and are run by the command otherwise. */
const AGENTS = ['node-s1', 'node-b1']
/** Notes its runs where the command of the relays does, and that it was the agent. */
const COMMAND = `#!/bin/sh
echo "agent itself"
echo "itself: $*" >> "$(dirname "$0")/../calls"
`

/** An agent behind a proxy of its own. */
async function startBehindProxy(t: TestContext, tree: RunningTree, id: string) {
  const { url } = tree.relay(tree.member(id).policyServer)
  const proxy = await startTcpProxy(t, Number(new URL(url).port))
  const agent = await startAgent(t, tree, id, { command: COMMAND, upstream: `127.0.0.1:${proxy.port}` })
  return { proxy, agent }
}

test('relays and agents killed, frozen, cut off, restarted and their clocks set at random, while files are shared and runs made', async t => {
  const seed = chooseSeed()
  t.diagnostic(`repeat with TREELINE_SEED=${seed}; for longer with TREELINE_MINUTES`)
  const random = seededRandom(seed)
  const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)]
  const tree = await startTree(t, {
    relays: RELAYS,
    absent: IDS,
    agent: NOTING_AGENT,
    settings: {
      links: ['ping_interval = "1s"', 'longest_wait = "1s"'],
      general: ['connect_timeout = "1s"', 'response_timeout = "2s"']
    }
  })
  const clocks = new Map(IDS.map(id => [id, steppingClock(join(tree.folder, `clock-${id}`), { isKilled: true })]))
  const startRelay = (id: string) => tree.restart(id, clocks.get(id)?.environment)
  await Promise.all(['root', 'relay-b'].map(startRelay))
  const proxies = await Promise.all(['relay-a', 'sub'].map(id => proxyUpstream(t, tree, id)))
  await startRelay('relay-a')
  await startRelay('sub')
  const agents = new Map<string, AgentProcess>()
  for (const id of AGENTS) {
    const { proxy, agent } = await startBehindProxy(t, tree, id)
    proxies.push(proxy)
    agents.set(id, agent)
  }
  const programOf = (id: string) => agents.get(id) ?? tree.processes.get(id)
  const end = async (id: string, signal: NodeJS.Signals) => {
    programOf(id)?.signal(signal)
    await programOf(id)?.ended
  }
  const restart = async (id: string) => {
    const agent = agents.get(id)
    if (agent === undefined) await startRelay(id)
    else agents.set(id, await agent.restart())
  }
  const anyone = () => pick([...IDS, ...AGENTS]) ?? ''
  const work = new StreamOfWork({
    tree,
    ways: [
      { at: 'root', source: 'node-r1', target: 'node-s1', keeper: 'sub' },
      { at: 'sub', source: 'node-s1', target: 'node-b1', keeper: 'relay-b' },
      { at: 'relay-b', source: 'node-b1', target: 'node-a1', keeper: 'relay-a' },
      { at: 'relay-a', source: 'node-a1', target: 'node-r1', keeper: 'root' }
    ],
    runs: [
      { at: 'root', node: 'node-s1' },
      { at: 'root', node: 'node-b1' },
      { at: 'relay-a', node: 'node-s1' }
    ],
    random,
    label: 'file'
  })
  const step = async (seconds: number) => {
    const clock = pick(
      [...clocks.values()].filter(({ offsetSeconds }) => Math.abs(offsetSeconds + seconds) <= STEP_SECONDS)
    )
    clock?.set(clock.offsetSeconds + seconds)
  }
  const happened: Record<string, number> = {}
  const actions: Record<string, () => Promise<void>> = {
    kill: async () => {
      const id = anyone()
      await end(id, 'SIGKILL')
      await sleep(random() * 1_000)
      await restart(id)
    },
    restart: async () => {
      const id = anyone()
      await end(id, 'SIGTERM')
      await restart(id)
    },
    freeze: async () => {
      const program = programOf(anyone())
      program?.signal('SIGSTOP')
      await sleep(random() * 3_000)
      program?.signal('SIGCONT')
    },
    silence: async () => {
      const proxy = pick(proxies)
      proxy?.silence()
      await sleep(random() * 3_000)
      proxy?.heal()
    },
    cut: async () => pick(proxies)?.cut(),
    halve: async () => pick(proxies)?.halve(),
    forward: () => step(STEP_SECONDS),
    back: () => step(-STEP_SECONDS)
  }
  const act = async (action: string) => {
    happened[action] = (happened[action] ?? 0) + 1
    await actions[action]?.()
    await sleep(random() * 500)
  }
  const endMs = Date.now() + FOR_MINUTES * 60_000
  while (Date.now() < endMs) {
    await act(pick(Object.keys(actions)) ?? 'cut')
  }
  for (const each of ['forward', 'back']) if (happened[each] === undefined) await act(each)
  await work.stop()
  for (const id of ['root', 'relay-a']) {
    await eventually(`the link to ${id}`, async () => {
      return JSON.parse((await ask(tree.relay(id), '/v1/relay/links')).text).result.length === 1
    })
  }
  for (const id of AGENTS) {
    await end(id, 'SIGTERM') // its next try may be half a minute away
    await restart(id)
  }
  await work.check()
  const calls = await readFile(join(tree.folder, 'calls'), 'utf8')
  assert.match(calls, /^itself: /m)
  t.diagnostic(JSON.stringify({ happened, ...work.counts }))
})
