import { chmod, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { RelayProcess } from '../../../demo/relay-process.js'
import { makeRelayTree, type RelaySpec, type RelayTree, type TreeOptions } from '../../../demo/relay-tree.js'
import { removeFolder } from '../machine/remove-folder.js'

/** Three levels, and a second branch. */
export const THREE_LEVELS: readonly RelaySpec[] = [
  { id: 'root', under: 'root', nodes: ['node-r1'] },
  { id: 'relay-a', under: 'root', nodes: ['node-a1'] },
  { id: 'sub', under: 'relay-a', nodes: ['node-s1', 'node-s2'] },
  { id: 'relay-b', under: 'root', nodes: ['node-b1'] }
]

/** Says which host ran, on both streams; a host whose name has `fails` in it ends with exit code 3. */
const AGENT = `#!/bin/sh
for last do :; done
echo "agent of $last"
echo "warning of $last" >&2
case "$last" in *fails*) exit 3 ;; esac
`

export interface RunningTree extends RelayTree {
  readonly folder: string
  readonly processes: ReadonlyMap<string, RelayProcess>
  /** Starts a relay that was stopped or killed. */
  restart(id: string, environment?: NodeJS.ProcessEnv): Promise<RelayProcess>
}

export interface RunningTreeOptions extends Partial<Pick<TreeOptions, 'settings' | 'logLevel'>> {
  readonly relays?: readonly RelaySpec[]
  /** A shell script instead of the usual agent. */
  readonly agent?: string
  /** Relays that are not started. @default none */
  readonly absent?: readonly string[]
}

/** Starts every relay of a tree as a process of its own; all is stopped and removed after the test. */
export async function startTree(t: TestContext, options: RunningTreeOptions = {}): Promise<RunningTree> {
  const folder = await mkdtemp(join(tmpdir(), 'treeline-test-'))
  const processes = new Map<string, RelayProcess>()
  t.after(async () => {
    await Promise.all([...processes.values()].map(relay => kill(relay)))
    await removeFolder(folder)
  })
  const agentCommand = join(folder, 'agent.sh')
  await writeFile(agentCommand, options.agent ?? AGENT)
  await chmod(agentCommand, 0o755)
  const { relays = THREE_LEVELS, absent = [], settings, logLevel } = options
  const tree = await makeRelayTree({
    folder,
    relays,
    agentCommand,
    ...(settings === undefined ? {} : { settings }),
    ...(logLevel === undefined ? {} : { logLevel })
  })
  const restart = async (id: string, environment?: NodeJS.ProcessEnv): Promise<RelayProcess> => {
    const started = await tree.start(id, environment)
    processes.set(id, started)
    return started
  }
  await Promise.all(relays.filter(({ id }) => !absent.includes(id)).map(({ id }) => restart(id)))
  return { ...tree, folder, processes, restart }
}

async function kill(relay: RelayProcess): Promise<void> {
  relay.signal('SIGKILL')
  await relay.ended
}
