import { readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { runTreeline } from './programs.js'
import { type RunningPart, startRelayProcess } from './relay-process.js'
import { shellLine } from './shell-line.js'
import type { Step } from './steps.js'
import { goOn, heading, result } from './terminal.js'

export interface NewTreeOptions {
  /** The folder that gets those of the root and of the machine. */
  readonly folder: string
  /** The ports of the root: for callers on this machine, and for all others. */
  readonly ports: readonly [number, number]
  readonly agentCommand: string
  /** Gets each process that is started. */
  readonly running: RunningPart[]
  readonly interruption: AbortSignal
}

const ROOT = 'new-root'
const MACHINE = 'laptop'

/** A second tree that Treeline makes itself: a machine joins, a run waits for it, and a trace shows the way. */
export function newTree({ folder, ports, agentCommand, running, interruption }: NewTreeOptions): Step[] {
  const [localPort, port] = ports
  const run = (args: readonly string[], input?: string) =>
    runTreeline(args, {
      folder,
      interruption,
      isShown: isAboutTheTree,
      ...(input === undefined ? {} : { input })
    })
  const untilEnd = (runId: string) =>
    runTreeline(['runs', 'events', runId, '-c', ROOT], { folder, interruption, isShown: () => false })
  const start = async (command: 'serve' | 'agent', name: string) => {
    const started = await startRelayProcess(join(folder, name), {}, command)
    running.push(started)
    return started
  }
  const init = shellLine(['init', '--dir', ROOT, '--host', `127.0.0.1:${port}`, '--listen', `127.0.0.1:${localPort}`])
  const joining = `--token-file - --id ${MACHINE} --dir ${MACHINE} --no-start`
  const command = shellLine(['--command', agentCommand])

  return [
    async number => {
      heading(number, 'Make a new tree: a root, and a machine that joins with a token', [
        goOn(`treeline ${init}`, command),
        `treeline serve -c ${ROOT} &`,
        `treeline token create --node -c ${ROOT}`,
        goOn(`echo <token> | treeline join https://127.0.0.1:${port}`, joining, command)
      ])
      const made = await run([...init.split(' '), '--command', agentCommand])
      await listenOnLoopback(join(folder, ROOT, 'main.conf'))
      const root = await start('serve', ROOT)
      result(made.code === 0, `the root runs, process ${root.pid}`)
      const { output } = await run(['token', 'create', '--node', '-c', ROOT])
      const [, token = ''] = /^echo (\S+) \|/m.exec(output) ?? []
      const joinArguments = ['join', `https://127.0.0.1:${port}`, ...joining.split(' '), '--command', agentCommand]
      const joined = await run(joinArguments, token)
      result(joined.code === 0, `${MACHINE} has its certificate; its agent does not run yet`)
      return made.code === 0 && joined.code === 0
    },
    async number => {
      heading(number, `Order a run with --wait: it starts when ${MACHINE} connects`, [
        `treeline run ${MACHINE} --wait 10min -c ${ROOT}`,
        `treeline runs show <id> -c ${ROOT}`,
        `treeline agent -c ${MACHINE} &`,
        `treeline runs show <id> -c ${ROOT}`
      ])
      const ordered = await run(['run', MACHINE, '--wait', '10min', '-c', ROOT])
      const id = ordered.output.trim()
      const waits = (await run(['runs', 'show', id, '-c', ROOT])).output.includes('queued')
      result(waits, `the run ${waits ? 'waits' : 'does not wait'}`)
      const agent = await start('agent', MACHINE)
      result(ordered.code === 0, `the agent runs, process ${agent.pid}`)
      const followed = await untilEnd(id)
      await run(['runs', 'show', id, '-c', ROOT])
      const ran =
        followed.code === 0 && /"outcome":"done"/.test(followed.output) && followed.output.includes(hostname())
      result(ran, `${MACHINE} ${ran ? 'ran' : 'did not run'}`)
      return ordered.code === 0 && waits && ran
    },
    async number => {
      heading(number, `Trace the way to ${MACHINE}`, [`treeline trace ${MACHINE} -c ${ROOT}`])
      const { code, output } = await run(['trace', MACHINE, '-c', ROOT])
      const answers = code === 0 && output.includes(`${MACHINE} answers`)
      result(answers, `exit code ${code}`)
      return answers
    }
  ]
}

/** Not the ways to start it for good, which `init` and `join` print as well. */
function isAboutTheTree(line: string): boolean {
  return !/^(?: |start it:|or, with systemd|then, to add|where other users|note:)/.test(line)
}

/** The root of a demo is nobody else's business. */
async function listenOnLoopback(mainConf: string): Promise<void> {
  await writeFile(mainConf, (await readFile(mainConf, 'utf8')).replace('"0.0.0.0:', '"127.0.0.1:'))
}
