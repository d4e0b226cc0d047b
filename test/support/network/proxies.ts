import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { freePorts } from '../../../demo/free-ports.js'
import { eventually } from '../eventually.js'
import { openServer } from './open-server.js'

const OWN_PROXY = fileURLToPath(new URL('./proxy-process.ts', import.meta.url))

/** A proxy that stands in where the real ones are not installed. */
export const OWN = 'the proxy of this test'
export const HTTP_PROXIES = ['tinyproxy', OWN] as const
export const REVERSE_PROXIES = ['nginx', OWN] as const

/** For `skip`. */
export function whyNot(program: string): string | false {
  return program === OWN || spawnSync(program, ['-v']).error === undefined ? false : 'it is not installed'
}

export interface Proxy {
  readonly port: number
  readonly process: ChildProcess
}

/** An HTTP proxy; what it connects to sees it at the address `from` of loopback. Ended after the test. */
export async function startHttpProxy(
  t: TestContext,
  name: (typeof HTTP_PROXIES)[number],
  folder: string,
  from = '127.0.0.1'
): Promise<Proxy> {
  const [port = 0] = await freePorts(1)
  let process: ChildProcess
  if (name === 'tinyproxy') {
    const conf = join(folder, 'tinyproxy.conf')
    const lines = [`Port ${port}`, 'Listen 127.0.0.1', 'Allow 127.0.0.1', 'Timeout 60', `LogFile "${conf}.log"`]
    await writeFile(conf, `${[...lines, `Bind ${from}`].join('\n')}\n`)
    process = run(t, 'tinyproxy', ['-d', '-c', conf])
  } else {
    process = ownProxy(t, 'connect', String(port), from)
  }
  await untilListens(port)
  return { port, process }
}

export interface Front {
  /** Files with its certificate and key. */
  readonly cert: string
  readonly key: string
  /** `http://host:port` behind it. */
  readonly plain: string
}

/** A web server in front of a relay that ends the TLS, configured as docs/links.md says. Ended after the test. */
export async function startReverseProxy(
  t: TestContext,
  name: (typeof REVERSE_PROXIES)[number],
  folder: string,
  { cert, key, plain }: Front
): Promise<Proxy> {
  const [port = 0] = await freePorts(1)
  let process: ChildProcess
  if (name === 'nginx') {
    await mkdir(folder, { recursive: true })
    const conf = join(folder, 'nginx.conf')
    await writeFile(conf, await nginxConf(folder, port, { cert, key, plain }))
    process = run(t, 'nginx', ['-c', conf, '-p', folder, '-e', join(folder, 'error.log')])
  } else {
    process = ownProxy(t, 'tls', String(port), new URL(plain).port, cert, key)
  }
  await untilListens(port)
  return { port, process }
}

/** The configuration of docs/links.md, with the addresses and files of the test. */
async function nginxConf(folder: string, port: number, { cert, key, plain }: Front): Promise<string> {
  const page = await readFile(new URL('../../../docs/links.md', import.meta.url), 'utf8')
  const [, snippet = ''] = /```nginx\n([\s\S]*?)```/.exec(page) ?? []
  const changed = snippet
    .replace('listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
    .replace('/etc/nginx/root.pem', cert)
    .replace('/etc/nginx/root.key', key)
    .replaceAll('http://127.0.0.1:3031', plain)
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(kind => `${kind}_temp_path ${folder}/${kind};`)
  return [
    `daemon off; pid ${folder}/pid; error_log ${folder}/error.log; events {}`,
    `http { access_log ${folder}/access.log; ${temp.join(' ')}`,
    changed,
    '}'
  ].join('\n')
}

/** A way to `port` of loopback that nobody may take but who comes from the address `from`. @returns its own port */
export async function startGate(t: TestContext, port: number, from: string): Promise<number> {
  const server = createServer(near => {
    if (near.remoteAddress !== from) return void near.destroy()
    const far = connect({ host: '127.0.0.1', port })
    far.on('error', () => undefined)
    far.on('close', () => near.destroy())
    near.on('close', () => far.destroy())
    near.pipe(far).pipe(near)
  })
  return openServer(t, server)
}

function ownProxy(t: TestContext, ...args: readonly string[]): ChildProcess {
  const child = fork(OWN_PROXY, args, { execArgv: ['--import', 'tsx'], stdio: ['pipe', 'inherit', 'inherit', 'ipc'] })
  t.after(() => child.kill('SIGKILL'))
  return child
}

function run(t: TestContext, program: string, args: readonly string[]): ChildProcess {
  const child = spawn(program, args, { stdio: 'ignore' })
  t.after(() => child.kill('SIGTERM'))
  return child
}

/** Resolves once something takes connections at a port of loopback. */
export function untilListens(port: number): Promise<true> {
  return eventually(`port ${port}`, async () => {
    return new Promise<true | undefined>(resolve => {
      const socket = connect({ host: '127.0.0.1', port })
      socket.on('connect', () => resolve(true)).on('error', () => resolve(undefined))
      socket.on('connect', () => socket.destroy())
    })
  })
}
