import { spawn, spawnSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { openServer } from './open-server.js'

const isThere = (program: string) => spawnSync(program, ['--version']).error === undefined

/** For `skip`. */
export const whyNoRegistry: string | false =
  isThere('docker-registry') && isThere('skopeo') ? false : 'docker-registry and skopeo are not installed'

export interface Registry {
  readonly url: string
  /** Requests that came: `method path`, and the address by which they say that their caller asked. */
  readonly requests: readonly { readonly line: string; readonly askedAt: string | undefined }[]
}

/**
 * A registry of container images: Debian's docker-registry, behind a server that records its requests. It names its own URL in its
 * answers, whatever the caller asked for.
 */
export async function startRegistry(t: TestContext, folder: string): Promise<Registry> {
  let port = 0
  const requests: { line: string; askedAt: string | undefined }[] = []
  const front = createServer((incoming, response) => {
    const { method, url: path, headers } = incoming
    const askedAt = headers['x-forwarded-host']
    requests.push({ line: `${method} ${path}`, askedAt: typeof askedAt === 'string' ? askedAt : undefined })
    const outgoing = request({ host: '127.0.0.1', port, method, path, headers }, answer => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    outgoing.on('error', () => response.destroy())
    incoming.pipe(outgoing)
  })
  const url = `http://127.0.0.1:${await openServer(t, front)}`
  await mkdir(folder, { recursive: true })
  const config = {
    version: '0.1',
    log: { level: 'info', formatter: 'json', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(folder, 'data') }, delete: { enabled: true } },
    http: { addr: '127.0.0.1:0', host: url, secret: 'of this test' }
  }
  const file = join(folder, 'config.yml')
  await writeFile(file, JSON.stringify(config)) // which YAML includes
  port = await startProgram(t, file)
  return { url, requests }
}

async function startProgram(t: TestContext, config: string): Promise<number> {
  const child = spawn('docker-registry', ['serve', config], { stdio: ['ignore', 'ignore', 'pipe'] })
  t.after(async () => {
    if (child.exitCode !== null) return
    const ended = new Promise<void>(resolve => child.once('exit', () => resolve()))
    child.kill('SIGKILL')
    await ended
  })
  const lines: string[] = []
  for await (const line of createInterface({ input: child.stderr })) {
    lines.push(line)
    const port = /listening on 127\.0\.0\.1:(\d+)/.exec(line)?.[1]
    if (port === undefined) continue
    child.stderr.resume()
    return Number(port)
  }
  throw new Error(`docker-registry did not start:\n${lines.join('\n')}`)
}
