import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { usualPorts } from './free-ports.js'
import { newTree } from './new-tree.js'
import { type RunningPart, treelineCommand } from './relay-process.js'
import { makeRelayTree, type RelaySpec, type RelayTree } from './relay-tree.js'
import { cloneThroughTree, type ServicePorts, withServiceSettings, writeClientsFile } from './service-step.js'
import { shellLine } from './shell-line.js'
import { mainJob, type Step, writeNodeFolders } from './steps.js'
import { goOn, result, say } from './terminal.js'

const RELAYS: readonly RelaySpec[] = [
  { id: 'root', under: 'root', nodes: ['node-r1'] },
  { id: 'relay-a', under: 'root', nodes: ['node-a1', 'node-a2'] },
  { id: 'sub-relay', under: 'relay-a', nodes: ['node-s1', 'node-s2'] },
  { id: 'relay-b', under: 'root', nodes: ['node-b1', 'node-b2'], byLink: true }
]

const PICTURE = `
   root ─┬─ node-r1
         ├─ relay-a ─┬─ node-a1, node-a2
         │           └─ sub-relay ── node-s1, node-s2
         └═ relay-b ─── node-b1, node-b2     (═ a link: relay-b opened the connection)
`

const NEXT = `
Read next:
   README.md               a tree of your own in eight commands
   docs/joining.md         machines that join: tokens, certificates, services
   docs/beside-rudder.md   Treeline beside an existing Rudder relay
   docs/services.md        servers behind a firewall: Git, registries, web pages
   docs/cli.md             every command
`

/** The first of the ports that the demo has at each start; one before it is held. */
const FIRST_PORT = 7300

/** Exit code of a shell for what Ctrl-C has ended. */
const INTERRUPTED = 130
/** A signal that has ended other processes of the group is heard of by then. */
const SIGNAL_WITHIN_MS = 1_000

/** `npm start`: a tree on loopback, the main job in front of the user, and then the tree stays until Ctrl-C. */
async function main(exitAfterSteps: boolean): Promise<number> {
  const interruption = untilInterrupted()
  const folder = await mkdtemp(join(tmpdir(), 'treeline-'))
  const running: RunningPart[] = []
  try {
    say(`A tree of four relays and ${RELAYS.flatMap(relay => relay.nodes).length} nodes on loopback, in ${folder}`)
    say(PICTURE)
    const ports = await usualPorts(FIRST_PORT, RELAYS.length * 2 + 5)
    const [localPort = 0, port = 0, callers = 0, server = 0, probes = 0] = ports.slice(RELAYS.length * 2)
    const servicePorts: ServicePorts = [callers, server, probes]
    const tree = await makeRelayTree({
      folder,
      relays: withServiceSettings(RELAYS, servicePorts),
      ports,
      agentCommand: agentCommand(),
      settings: { 'shared_files.cleanup': ['frequency = "1s"'] }
    })
    await writeNodeFolders(tree, folder)
    await writeClientsFile(tree)
    explainLines(tree, folder)
    await startAll(tree, running, interruption)
    const steps = [
      ...mainJob(tree, folder, interruption),
      cloneThroughTree({ tree, folder, ports: servicePorts, running, interruption }),
      ...newTree({ folder, ports: [localPort, port], agentCommand: agentCommand(), running, interruption })
    ]
    const failed = await takeSteps(steps, interruption)
    say(failed === 0 ? '\nAll steps succeeded.' : `\n${failed} of the steps failed.`)
    if (failed > 0) for (const relay of running) say(relay.log.filter(line => /"level":[56]0/.test(line)).join('\n'))
    say(NEXT)
    if (!exitAfterSteps) {
      say('The tree stays up. Try the lines above in another shell; Ctrl-C ends it and removes everything.')
      say('The client, root and agent of steps 6 to 8 run already: leave out client, init, serve, join and agent.')
      await aborted(interruption)
    }
    return failed === 0 ? 0 : 1
  } catch (error) {
    // What was under way fails in any way once Ctrl-C has ended the processes that it needs.
    // And the end of such a process may be heard of before the signal itself.
    await Promise.race([aborted(interruption), sleep(SIGNAL_WITHIN_MS)])
    if (!interruption.aborted) throw error
    say('\nInterrupted before the last step.')
    return INTERRUPTED
  } finally {
    await Promise.all(running.map(relay => relay.stop()))
    await rm(folder, { recursive: true, force: true })
    if (interruption.aborted) say('The relays are stopped, and the folder is removed.')
  }
}

/** Says what the lines of the steps need in a shell of the user. */
function explainLines(tree: RelayTree, folder: string): void {
  const { program, args } = treelineCommand([])
  say('To try the lines below in another shell, begin with these; api is where the root takes orders:')
  say(`   $ ${goOn(`treeline() { ${shellLine([program])}`, `${shellLine(args)} "$@"; }`)}`)
  say(`   $ cd ${shellLine([folder])}`)
  say(`   $ api=${tree.relay('root').localUrl}/rudder/relay-api/1\n`)
}

async function startAll(tree: RelayTree, running: RunningPart[], interruption: AbortSignal): Promise<void> {
  for (const relay of tree.relays.values()) {
    interruption.throwIfAborted()
    const relayProcess = await tree.start(relay.id)
    running.push(relayProcess)
    result(true, `${relay.id.padEnd(9)} ${relay.url}, local ${relay.localUrl}, process ${relayProcess.pid}`)
    if (relay.byLink) {
      await relayProcess.logged(line => line.includes('"msg":"link opened"'))
      result(true, `${' '.repeat(9)} holds a link to ${relay.policyServer}`)
    }
  }
}

async function takeSteps(steps: readonly Step[], interruption: AbortSignal): Promise<number> {
  let failed = 0
  for (const [index, step] of steps.entries()) {
    interruption.throwIfAborted()
    if (!(await step(index + 1))) failed += 1
  }
  interruption.throwIfAborted()
  return failed
}

/** Beside this file, or beside its source once compiled. */
function agentCommand(): string {
  const beside = fileURLToPath(new URL('./agent.sh', import.meta.url))
  return existsSync(beside) ? beside : fileURLToPath(new URL('../../demo/agent.sh', import.meta.url))
}

/** For as long as this process lives: Ctrl-C under npm comes twice, from the terminal and passed on by npm. */
function untilInterrupted(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => controller.abort())
  return controller.signal
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort')
}

process.exitCode = await main(process.argv.includes('--exit'))
