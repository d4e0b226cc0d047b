import { appendFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import type { RelayProcess } from '../../../demo/relay-process.js'
import { startTreeline } from '../machine/treeline-command.js'
import { openServer } from '../network/open-server.js'
import { type Machine, startJoinedTree, succeed, untilLinked } from './joined-tree.js'
import { ALLOWED, askService, type ServiceAnswer, type ServiceCall, statusOf } from './service-callers.js'

const SERVICES = `
[services]
listen = "127.0.0.1:0"
https_listen = "127.0.0.1:0"
allowed_networks = ["${ALLOWED}/32"]
offline_grace = "10s"
`

/** A request of a caller of {@link startTokenTree}. */
export interface TokenTreeCall extends Pick<ServiceCall, 'from' | 'lines' | 'path' | 'host'> {
  /** Over TLS, with these options. */
  readonly secure?: ConnectionOptions
  /** The port of another listener. */
  readonly port?: number
}

/**
 * A root with a relay below it, which takes callers of services; the service `git` records what it gets, and never ends at
 * `/endless`.
 * @param sections further ones of the relay's configuration
 */
export async function startTokenTree(t: TestContext, sections = '') {
  const endless: ServerResponse[] = []
  t.after(() => {
    for (const response of endless) response.destroy() // or the service would never close
  })
  const tree = await startJoinedTree(t)
  const { root } = tree
  const relay = await tree.machine('rel-1')
  await succeed(tree.join(relay, await tree.token('--relay')))
  await appendFile(join(relay.folder, 'main.conf'), SERVICES + sections)
  let seen: readonly string[] | undefined
  const service = createServer((request, response) => {
    seen = request.rawHeaders
    if (request.url !== '/endless') return void response.end('from the service')
    endless.push(response)
    response.write('the beginning')
  })
  const baseUrl = `http://127.0.0.1:${await openServer(t, service)}`
  let ready = ''
  const serve = async (): Promise<RelayProcess> => {
    const started = await tree.serve(relay)
    ready = await started.logged(text => text.includes('services on https://'))
    return started
  }
  const portOf = (scheme: string) => Number(new RegExp(`services on ${scheme}:[^"]+?:(\\d+)`).exec(ready)?.[1])
  const rootPorts = () => [...ready.matchAll(/services at https?:[^"]+?:(\d+)/g)].map(([, port]) => Number(port))

  async function call(asked: TokenTreeCall = {}): Promise<ServiceAnswer> {
    seen = undefined
    const { secure } = asked
    const port = asked.port ?? portOf(secure === undefined ? 'http' : 'https')
    const socket = connect({ host: '127.0.0.1', port, localAddress: asked.from ?? ALLOWED })
    const over = secure === undefined ? socket : connectTls({ socket, rejectUnauthorized: false, ...secure })
    const text = await askService(over, port, asked)
    return { status: statusOf(text), text, seen }
  }
  /** `treeline token …` at the root. @returns its output, without the end of the line */
  const token = async (...args: readonly string[]) => {
    const { stdout } = await succeed(tree.ask(root, 'token', ...args))
    return stdout.trimEnd()
  }
  const jwt = (scope: string, ...more: readonly string[]) => token('create', '--jwt', '--scope', scope, ...more)
  const register = async (credential: string, at: Machine = relay) => {
    const client = startTreeline(t, ['client', '--client-key', 'git', '--health-listen', '127.0.0.1:0'], {
      TREELINE_SERVER_URL: `https://${at.host}:${at.port}`,
      TREELINE_BASE_URL: baseUrl,
      TREELINE_TOKEN: credential,
      SSL_CERT_FILE: join(at.folder, 'ca.pem')
    })
    await client.printed('"msg":"link opened"')
    return client
  }
  const process = await serve()
  await untilLinked(root, 'rel-1')
  return { tree, root, relay, process, serve, call, rootPorts, token, jwt, register, endless }
}

/** The id in a token. */
export function idOf(token: string): string {
  const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
  return String((claims as { readonly jti?: unknown }).jti)
}
