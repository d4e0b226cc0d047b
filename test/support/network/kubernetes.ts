import { execFile, spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { type Running, startProcess } from '../machine/treeline-command.js'

const SOURCES = join(import.meta.dirname, '../kubernetes')
const GO = { ...process.env, GOTOOLCHAIN: 'local', GOFLAGS: '-mod=readonly', CGO_ENABLED: '0' }
const run = promisify(execFile)

/** For `skip`. */
export const whyNoKubernetes: string | false = findOut()

function findOut(): string | false {
  if (spawnSync('kubectl', ['version', '--client']).error !== undefined) return 'kubectl is not installed'
  const { stdout, error } = spawnSync('go', ['env', 'GOVERSION'], { encoding: 'utf8', env: GO })
  const minor = Number(/^go1\.(\d+)/.exec(stdout ?? '')?.[1] ?? 0)
  return error === undefined && minor >= 26 ? false : 'Go 1.26, which builds the server, is not installed'
}

export interface KubernetesServer {
  readonly url: string
  /** The lines that it printed: requests as `method path upgrade protocols`, and ends of streams. */
  readonly printed: () => readonly string[]
  /** From now on another token is let in alone. */
  rotate(token: string): Promise<void>
  /** Adds a line to the log of the pod; `pod <name>` adds a pod. */
  feed(line: string): Promise<void>
}

/** A server of the Kubernetes API with one pod `web`: `test/support/kubernetes`, on the framing of k8s.io/streaming. */
export async function startKubernetes(t: TestContext, folder: string, firstToken: string): Promise<KubernetesServer> {
  const program = join(folder, 'kubernetes')
  await run('go', ['build', '-o', program, '.'], { cwd: SOURCES, env: GO })
  const tokenFile = join(folder, 'token')
  let token = firstToken
  await writeFile(tokenFile, token)
  const running: Running = startProcess(t, program, [tokenFile], {})
  await running.printed('\n')
  const url = `http://${/^at (\S+)/.exec(running.soFar())?.[1]}`
  return {
    url,
    printed: () => running.soFar().split('\n'),
    async rotate(next) {
      token = next
      await writeFile(tokenFile, token)
    },
    async feed(line) {
      await fetch(`${url}/feed`, { method: 'POST', body: line, headers: { authorization: `Bearer ${token}` } })
    }
  }
}
