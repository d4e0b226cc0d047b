import { existsSync, readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually } from '../eventually.js'

/** Says who began and who ended; in between, a host whose name has `slow` in it waits for {@link SlowAgents.release}. */
export const SLOW_AGENT = `#!/bin/sh
for last do :; done
dir=$(dirname "$0")
echo "start of $last"
case "$last" in
  *slow*)
    echo $$ > "$dir/$last.pid.new" && mv "$dir/$last.pid.new" "$dir/$last.pid"
    while [ ! -e "$dir/release" ]; do sleep 0.05; done ;;
esac
echo "end of $last"
`

export interface SlowAgents {
  /** Resolves with the process id of the agent of a node, once it waits. */
  started(node: string): Promise<number>
  /** Resolves once that process is gone. */
  gone(pid: number): Promise<unknown>
  isRunning(pid: number): boolean
  release(): Promise<void>
  /** For the next round. */
  reset(...nodes: readonly string[]): Promise<void>
}

/** The agents of a tree that was started with {@link SLOW_AGENT}. @param folder of the tree */
export function slowAgents(folder: string): SlowAgents {
  const pidFile = (node: string) => join(folder, `${node}.example.test.pid`)
  const isRunning = (pid: number) => existsSync(`/proc/${pid}`)
  return {
    started: node =>
      eventually(
        `the agent of ${node}`,
        () => existsSync(pidFile(node)) && Number(readFileSync(pidFile(node), 'utf8'))
      ),
    gone: pid => eventually(`the end of process ${pid}`, () => !isRunning(pid)),
    isRunning,
    release: () => writeFile(join(folder, 'release'), ''),
    reset: async (...nodes) => {
      for (const file of [join(folder, 'release'), ...nodes.map(pidFile)]) await rm(file, { force: true })
    }
  }
}
