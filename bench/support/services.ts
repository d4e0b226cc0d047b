import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { openSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePorts } from '../../demo/free-ports.js'
import { type CertificateMaterial, makeAgentCertificate } from '../../demo/pki.js'
import { endProcess, startProgram } from './child.js'
import { Relay } from './relay.js'
import { listedNode } from './relay-folder.js'
import type { RowContext } from './row.js'

const MAIN = fileURLToPath(new URL('../../treeline/main.js', import.meta.url))
const TOKEN = 'a-token-of-the-benchmark-that-is-long-enough'
const READY_WITHIN_MS = 30_000
const POLL_EVERY_MS = 20

/** A process of the row. */
export interface Measured {
  readonly what: string
  readonly pid: number
}

export interface BenchServices {
  /** nginx: the service itself, and `proxy_pass` in front of it with one worker. */
  readonly nginx: { readonly port: number; readonly workerPid: number }
  /** The port of the root for callers. */
  readonly port: number
  /** The service by one level (`/v1/relay/one`) and by two (`/v1/relay/two`). */
  readonly root: Measured
  readonly rootRelay: Relay
  readonly below: Measured
  readonly clientOne: Measured
  readonly clientTwo: Measured
}

/** Starts nginx, a root with a client, and a relay below the root with another client; all links are TLS. */
export async function startServices(context: RowContext, service: 'files' | 'sink' = 'files'): Promise<BenchServices> {
  const [rootPort = 0, belowPort = 0, rootHttps = 0, belowHttps = 0, port = 0, ...nginxPorts] = await freePorts(9)
  const sink = service === 'sink' ? await startProgram('sink-program', {}) : undefined
  if (sink !== undefined) context.cleanup.add(() => endProcess(sink.child))
  const [filesPort = 0, proxyPort = 0] = nginxPorts
  const servicePort = sink === undefined ? filesPort : Number(sink.line)
  const workerPid = await startNginx(context, { filesPort, proxyPort, servicePort })
  const [ofRoot, ofBelow] = await Promise.all(
    ['root', 'below'].map(nodeId => makeAgentCertificate({ nodeId, hostname: '127.0.0.1' }))
  )
  if (ofRoot === undefined || ofBelow === undefined) throw new Error('no certificates')
  const nodes = { root: listedNode('127.0.0.1', 'root'), below: listedNode('127.0.0.1', 'root') }
  const leaf = { leaf: listedNode('leaf.example.com', 'below') }
  const hash = createHash('sha256').update(TOKEN).digest('hex')
  const clientTokens = `register:one ${hash}\nregister:two ${hash}\n`
  const root = await Relay.start(
    {
      folder: join(context.folder, 'root'),
      nodeId: 'root',
      port: rootPort,
      nodes: { ...nodes, ...leaf },
      certificates: [ofRoot, ofBelow],
      https: { port: rootHttps, certificate: ofRoot },
      servicesPort: port,
      clientTokens
    },
    context.cleanup
  )
  const below = await Relay.start(
    {
      folder: join(context.folder, 'below'),
      nodeId: 'below',
      port: belowPort,
      nodes: { below: nodes.below, ...leaf },
      certificates: [ofBelow],
      https: { port: belowHttps, certificate: ofBelow },
      upstream: { port: rootHttps, certificate: ofRoot },
      dials: true,
      clientTokens
    },
    context.cleanup
  )
  const url = `http://127.0.0.1:${servicePort}`
  const start = (key: string, at: number, trusted: CertificateMaterial) =>
    startClient(context, { key, server: `wss://127.0.0.1:${at}`, trusted, url })
  const clientOne = await start('one', rootHttps, ofRoot)
  const clientTwo = await start('two', belowHttps, ofBelow)
  await until(async () => (await fetch(`http://127.0.0.1:${port}/v1/relay/one/1k`)).status !== 502)
  await until(async () => (await fetch(`http://127.0.0.1:${port}/v1/relay/two/1k`)).status !== 502)
  return {
    nginx: { port: proxyPort, workerPid },
    port,
    root: { what: 'relay', pid: root.pid },
    rootRelay: root,
    below: { what: 'relay below', pid: below.pid },
    clientOne: { what: 'client', pid: clientOne },
    clientTwo: { what: 'client two levels down', pid: clientTwo }
  }
}

interface ClientSetup {
  readonly key: string
  readonly server: string
  readonly trusted: CertificateMaterial
  readonly url: string
}

/** @returns the process id */
async function startClient(context: RowContext, { key, server, trusted, url }: ClientSetup): Promise<number> {
  const ca = join(context.folder, `${key}.pem`)
  await writeFile(ca, trusted.certificatePem)
  const log = openSync(join(context.folder, `client-${key}.log`), 'a')
  const options = ['--client-key', key, '--server-url', server, '--base-url', url, '--ca', ca]
  const child = spawn(process.execPath, [MAIN, 'client', ...options, '--health-listen', '127.0.0.1:0'], {
    stdio: ['ignore', log, log],
    env: { ...process.env, TREELINE_TOKEN: TOKEN }
  })
  context.cleanup.add(() => endProcess(child))
  if (child.pid === undefined) throw new Error('the client has no process id')
  return child.pid
}

interface NginxPorts {
  /** The port at which it serves files. */
  readonly filesPort: number
  /** The port at which it passes requests on, and the one to which. */
  readonly proxyPort: number
  readonly servicePort: number
}

/** @returns the id of the one worker @throws {Error} where nginx is not installed */
async function startNginx(context: RowContext, { filesPort, proxyPort, servicePort }: NginxPorts): Promise<number> {
  const folder = join(context.folder, 'nginx')
  await mkdir(join(folder, 'files'), { recursive: true })
  await writeFile(join(folder, 'files', '1k'), Buffer.alloc(1024, 120))
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    name => `${name}_temp_path ${folder}/${name};`
  )
  await writeFile(
    join(folder, 'nginx.conf'),
    `worker_processes 1; daemon off; pid ${folder}/pid; user root;
events { worker_connections 8192; }
http {
  access_log off; client_max_body_size 0; keepalive_requests 100000000; ${temporary.join(' ')}
  upstream service { server 127.0.0.1:${servicePort}; keepalive 64; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${proxyPort};
    location / {
      proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_request_buffering off;
    }
  }
  server {
    listen 127.0.0.1:${filesPort};
    root ${folder}/files; sendfile on;
  }
}
`
  )
  const errors = openSync(join(folder, 'errors.log'), 'a')
  const child = spawn('nginx', ['-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log')], {
    stdio: ['ignore', errors, errors]
  })
  const failed = new Promise<never>((_resolve, reject) => child.once('error', reject))
  context.cleanup.add(() => endProcess(child))
  await Promise.race([failed, until(async () => (await fetch(`http://127.0.0.1:${filesPort}/1k`)).ok)])
  if (child.pid === undefined) throw new Error('nginx has no process id')
  return workerOf(child.pid)
}

async function workerOf(master: number): Promise<number> {
  const text = await readFile(`/proc/${master}/task/${master}/children`, 'utf8')
  const pid = Number(text.trim().split(' ')[0])
  if (!(pid > 0)) throw new Error('nginx has no worker')
  return pid
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const limitMs = performance.now() + READY_WITHIN_MS
  while (!(await holds().catch(() => false))) {
    if (performance.now() > limitMs) throw new Error('the services are not ready')
    await delay(POLL_EVERY_MS)
  }
}
