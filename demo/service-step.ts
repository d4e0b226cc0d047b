import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeGitFolder, README_TEXT, serveFolder } from './git-folder.js'
import { runProgram, runTreeline } from './programs.js'
import { type RunningPart, startClientProcess } from './relay-process.js'
import type { RelaySpec, RelayTree } from './relay-tree.js'
import { shellLine } from './shell-line.js'
import type { Step } from './steps.js'
import { goOn, heading, result } from './terminal.js'

/** The relay that a firewall protects, and the key of the service behind it. */
const RELAY = 'relay-b'
const KEY = 'code'
/** The lines of `tokens.clients_file`, beside the configuration of {@link RELAY}. */
const CLIENTS_FILE = 'clients'

/** The ports for the callers at the root, the server of the repository, and the probes of the client. */
export type ServicePorts = readonly [callers: number, server: number, probes: number]

export interface ServiceStepOptions {
  readonly tree: RelayTree
  readonly folder: string
  readonly ports: ServicePorts
  /** Gets each part that is started. */
  readonly running: RunningPart[]
  readonly interruption: AbortSignal
}

/** The relays with the settings that the service needs: a listener at the root, a file of tokens at {@link RELAY}. */
export function withServiceSettings(relays: readonly RelaySpec[], [callers]: ServicePorts): RelaySpec[] {
  return relays.map(relay => {
    if (relay.id === 'root') return { ...relay, settings: { services: [`listen = "127.0.0.1:${callers}"`] } }
    return relay.id === RELAY ? { ...relay, settings: { tokens: [`clients_file = "${CLIENTS_FILE}"`] } } : relay
  })
}

/** Writes the file of tokens, without any. */
export async function writeClientsFile(tree: RelayTree): Promise<void> {
  await writeFile(join(tree.relay(RELAY).directory, CLIENTS_FILE), '', { mode: 0o600 })
}

/** The step that clones a repository of a server behind {@link RELAY}, by way of the root. */
export function cloneThroughTree({ tree, folder, ports, running, interruption }: ServiceStepOptions): Step {
  const [callers, server, probes] = ports
  const url = `http://127.0.0.1:${callers}/v1/relay/${KEY}/project.git`
  const token = ['token', 'create', '--scope', `register:${KEY}`, '--append', `${RELAY}/${CLIENTS_FILE}`]
  const ways = ['--base-url', `http://127.0.0.1:${server}`, '--server-url', tree.relay(RELAY).url]
  const trust = ['--client-key', KEY, '--token-file', 'token', '--ca', `${RELAY}.cert`]
  const health = ['--health-listen', `127.0.0.1:${probes}`]

  return async number => {
    const { commit } = await makeGitFolder(join(folder, 'git'), interruption)
    const fetching = commit === undefined ? `curl ${url}/README.md` : `git clone ${url}`
    heading(number, `Clone a Git repository that ${RELAY} alone can reach, by way of the root`, [
      `treeline ${shellLine(token)} > token`,
      `${goOn(`treeline client ${shellLine(ways)}`, shellLine(trust), shellLine(health))} &`,
      'treeline services list -c root',
      fetching
    ])
    const files = await serveFolder(join(folder, 'git'), server)
    running.push({ log: [], stop: () => new Promise(resolve => files.close(() => resolve())) })
    const made = await runTreeline([...token, '--json'], { folder, interruption, isShown: () => false })
    await writeFile(join(folder, 'token'), (JSON.parse(made.output) as { token: string }).token, { mode: 0o600 })
    const client = await startClientProcess([...ways, ...trust, ...health], folder)
    running.push(client)
    result(true, `the client holds a link to ${RELAY}, process ${client.pid}`)
    const isKnown = await untilListed({ folder, interruption })
    result(isKnown, `the root ${isKnown ? 'knows' : 'does not know'} the key ${KEY}`)
    const isSame = commit === undefined ? await fetchReadme(url) : await clone(url, commit, { folder, interruption })
    return isKnown && isSame
  }
}

interface Place {
  readonly folder: string
  readonly interruption: AbortSignal
}

/** The root hears of a key within a second: a few commands' time. */
const LOOKS = 20

async function untilListed({ folder, interruption }: Place): Promise<boolean> {
  for (let look = 0; look < LOOKS; look += 1) {
    const options = { folder, interruption, isShown: (line: string) => line.includes(KEY) || line.startsWith('KEY') }
    const { output } = await runTreeline(['services', 'list', '-c', 'root'], options)
    if (output.includes(KEY)) return true
  }
  return false
}

async function clone(url: string, commit: string, { folder, interruption }: Place): Promise<boolean> {
  const git = (...args: readonly string[]) => runProgram('git', args, { folder, interruption })
  const cloned = await git('-c', 'http.proxy=', 'clone', '--no-progress', url, 'cloned')
  const { output } = await git('-C', 'cloned', 'log', '--format=%H %s')
  const isSame = cloned.code === 0 && output.startsWith(commit) && (await isReadme(join(folder, 'cloned', 'README.md')))
  result(isSame, `the clone has ${isSame ? 'the commit of the server' : 'another content'}`)
  return isSame
}

async function isReadme(file: string): Promise<boolean> {
  return (await readFile(file, 'utf8')) === README_TEXT
}

async function fetchReadme(url: string): Promise<boolean> {
  const isSame = (await (await fetch(`${url}/README.md`)).text()) === README_TEXT
  result(isSame, `git is not installed; a file of the server came with ${isSame ? 'the same' : 'other'} bytes`)
  return isSame
}
