import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { treelineCommand } from '../../../demo/relay-process.js'
import { eventually } from '../eventually.js'
import { ask } from '../network/http.js'
import type { RunningTree } from './relay-tree.js'

/** Says whether it was started, and with what; `wait` in its conditions keeps it until it is told to go on. */
export const NODE_COMMAND = `#!/bin/sh
echo "node run: $*"
echo "careful" >&2
echo "$$" >> "$0.started"
case "$*" in
  *wait*) while [ ! -e "$0.go" ]; do sleep 0.05; done; echo "waited" ;;
  *hang*) sleep 600 & echo "$!" > "$0.child"; wait ;;
  *fails*) exit 3 ;;
esac
echo "end" >> "$0.started"
`

export interface AgentProcess {
  readonly id: string
  readonly directory: string
  /** The command that it runs; `<command>.started` has its pid for each start, and `end` where it came to its own end. */
  readonly command: string
  readonly log: readonly string[]
  readonly pid: number
  readonly ended: Promise<unknown>
  signal(signal: NodeJS.Signals): void
  restart(): Promise<AgentProcess>
}

export interface AgentTestOptions {
  /** Lines of `[agent]`. */
  readonly agent?: readonly string[]
  /** Further text of agent.conf. */
  readonly more?: string
  /** A shell script in place of {@link NODE_COMMAND}. */
  readonly command?: string
  /** `host:port` at which it reaches its policy server; that server's own otherwise. */
  readonly upstream?: string
  /** The network namespace in which it runs. */
  readonly namespace?: string
}

/** Starts the agent of a node of `tree`, as a process, and waits for its link. Killed after the test. */
export async function startAgent(
  t: TestContext,
  tree: RunningTree,
  id: string,
  options: AgentTestOptions = {}
): Promise<AgentProcess> {
  const member = tree.member(id)
  const relay = tree.relay(member.policyServer)
  const directory = join(tree.folder, `agent-${id}`)
  await mkdir(directory, { recursive: true })
  const command = join(directory, 'command')
  await writeFile(command, options.command ?? NODE_COMMAND, { mode: 0o755 })
  const lines = [
    `node_id = "${id}"`,
    `certificate_file = "${member.certificateFile}"`,
    `key_file = "${member.keyFile}"`,
    '[upstream]',
    `host = "${options.upstream ?? new URL(relay.url).host}"`,
    `server_certificate_file = "${relay.certificateFile}"`,
    '[storage]',
    'path = "state"',
    '[agent]',
    `command = "${command}"`,
    ...(options.agent ?? []),
    options.more ?? ''
  ]
  await writeFile(join(directory, 'agent.conf'), lines.join('\n'))
  await writeFile(join(directory, 'logging.conf'), '[general]\nlevel = "debug"\n')
  const start = async (): Promise<AgentProcess> => {
    const { program, args } = treelineCommand(['agent', '--config', directory])
    // `ip netns exec` becomes the program
    const [first = '', ...rest] =
      options.namespace === undefined
        ? [program, ...args]
        : ['ip', 'netns', 'exec', options.namespace, program, ...args]
    const child = spawn(first, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
    const log = watch(child)
    const ended = once(child, 'exit')
    t.after(async () => {
      child.kill('SIGKILL')
      await ended
    })
    const agent: AgentProcess = {
      id,
      directory,
      command,
      log,
      pid: child.pid ?? 0,
      ended,
      signal: signal => void child.kill(signal),
      restart: start
    }
    await untilLinked(agent, () => child.exitCode !== null)
    return agent
  }
  return start()
}

/** Waits for a link that stands. */
async function untilLinked(agent: AgentProcess, hasEnded: () => boolean): Promise<void> {
  await eventually(`the link of ${agent.id}`, () => {
    if (hasEnded()) throw new Error(`the agent has ended:\n${agent.log.join('\n')}`)
    return agent.log.some(line => line.includes('link opened'))
  })
}

export function untilRelinked(agent: AgentProcess, links: number): Promise<true> {
  return eventually(`link ${links} of ${agent.id}`, () => {
    return agent.log.filter(line => line.includes('link opened')).length >= links && true
  })
}

function watch(child: ChildProcess): string[] {
  const log: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null) createInterface({ input: stream }).on('line', line => log.push(line))
  }
  return log
}

export interface NodeRecordJson {
  readonly node: string
  readonly reached?: string
  readonly outcome: string
  readonly exit_code?: number
  readonly message?: string
  readonly unreached?: { readonly from: string; readonly to: string; readonly reason: string }
}

export interface RunJson {
  readonly wait_until?: string
  readonly id: string
  readonly state: string
  readonly node_records: readonly NodeRecordJson[]
}

/** A run as the relay `relayId` shows it. */
export async function showRun(tree: RunningTree, relayId: string, runId: string): Promise<RunJson> {
  const answer = await ask(tree.relay(relayId), `/rudder/relay-api/runs/${runId}`)
  return JSON.parse(answer.text) as RunJson
}
