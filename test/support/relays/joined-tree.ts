import { X509Certificate } from 'node:crypto'
import { access, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { freePorts } from '../../../demo/free-ports.js'
import { type RelayProcess, startRelayProcess } from '../../../demo/relay-process.js'
import { eventually } from '../eventually.js'
import { removeFolder } from '../machine/remove-folder.js'
import { type Ended, type Running, startTreeline, treeline } from '../machine/treeline-command.js'

/** One machine of a tree, as `init` or `join` left it. */
export interface Machine {
  readonly id: string
  readonly folder: string
  /** The address by which others reach it: an address of loopback of its own. */
  readonly host: string
  readonly port: number
  /** `general.listen`. */
  readonly local: string
}

export interface JoinedTree {
  readonly root: Machine
  readonly rootProcess: RelayProcess
  readonly folder: string
  /** Makes a token at the root. @returns the arguments of `treeline` that its line has */
  token(...args: readonly string[]): Promise<string[]>
  /** A place for a further machine; nothing is there yet. */
  machine(id: string): Promise<Machine>
  /** Runs `treeline join` for it. */
  join(machine: Machine, line: readonly string[], env?: NodeJS.ProcessEnv): Promise<Ended>
  serve(machine: Machine, env?: NodeJS.ProcessEnv): Promise<RelayProcess>
  agent(machine: Machine, env?: NodeJS.ProcessEnv): Running
  /** `treeline …`, asked of a machine. */
  ask(machine: Machine, ...args: readonly string[]): Promise<Ended>
}

/**
 * A root made by `treeline init`, started.
 * @param tree further lines of its section `[tree]`; `files`: of `[shared_files]`
 * @param command what runs agents, everywhere
 */
export async function startJoinedTree(
  t: TestContext,
  tree = '',
  files = '',
  command = '/bin/echo'
): Promise<JoinedTree> {
  const folder = await mkdtemp(join(tmpdir(), 'treeline-test-'))
  const running: (() => Promise<unknown>)[] = []
  t.after(async () => {
    await Promise.all(running.map(end => end())) // else they write into the folder while it is removed
    await removeFolder(folder)
  })
  let machines = 0
  const machine = async (id: string): Promise<Machine> => {
    const [port = 0, localPort = 0] = await freePorts(2)
    machines += 1
    const place = { id, folder: join(folder, id), host: `127.0.0.${machines}`, port }
    return { ...place, local: `127.0.0.1:${localPort}` }
  }
  const serve = async ({ folder: at }: Machine, env: NodeJS.ProcessEnv = {}) => {
    const relay = await startRelayProcess(at, env)
    running.push(() => {
      relay.signal('SIGKILL')
      return relay.ended
    })
    return relay
  }
  const root = await machine('root')
  const host = `${root.host}:${root.port}`
  await succeed(
    treeline(t, ['init', '--dir', root.folder, '--host', host, '--listen', root.local, '--command', command])
  )
  const conf = join(root.folder, 'main.conf')
  const text = (await readFile(conf, 'utf8')).replace('[tree]\n', `[tree]\n${tree}\n`)
  await writeFile(conf, text.replace('[shared_files]\n', `[shared_files]\n${files}\n`))
  const rootProcess = await serve(root)
  return {
    root,
    rootProcess,
    folder,
    machine,
    serve,
    token: async (...args) => {
      const { stdout } = await succeed(treeline(t, ['token', 'create', '--config', root.folder, ...args]))
      const [, token = '', line = ''] = /^echo (\S+) \| treeline (.*)\n$/.exec(stdout) ?? []
      return line.replace('--token-file -', `--token ${token}`).split(' ')
    },
    join: (at, line, env) =>
      treeline(
        t,
        [
          ...line,
          '--no-start',
          '--dir',
          at.folder,
          '--id',
          at.id,
          '--host',
          `${at.host}:${at.port}`,
          '--listen',
          at.local,
          '--command',
          command
        ],
        env
      ),
    agent: (at, env) => {
      const agent = startTreeline(t, ['agent', '--config', at.folder], env)
      running.push(() => {
        agent.child.kill('SIGKILL')
        return agent.ended
      })
      return agent
    },
    ask: (at, ...args) => treeline(t, [...args, '--config', at.folder])
  }
}

export async function succeed(ended: Promise<Ended>): Promise<Ended> {
  const result = await ended
  if (result.code !== 0) throw new Error(`it ended with ${result.code}: ${result.stderr}${result.stdout}`)
  return result
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false
  )
}

/** JSON of a machine's own API, asked as a local caller. */
export function getJson({ local }: Machine, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    request(`http://${local}${path}`, { headers: { accept: 'application/json' } }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve(JSON.parse(text)))
    })
      .on('error', reject)
      .end()
  })
}

export async function linksOf(machine: Machine): Promise<string[]> {
  const { result } = (await getJson(machine, '/v1/relay/links')) as { result: { id: string }[] }
  return result.map(({ id }) => id).sort()
}

export async function certificateOf({ folder }: Machine): Promise<X509Certificate> {
  return new X509Certificate(await readFile(join(folder, 'certificate.pem')))
}

export function untilLinked(machine: Machine, ...ids: string[]): Promise<string[] | true> {
  return eventually(`links of ${ids.join()} at ${machine.id}`, async () => {
    const linked = await linksOf(machine)
    return linked.join() === ids.sort().join() && linked
  })
}
