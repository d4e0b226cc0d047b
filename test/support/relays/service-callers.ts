import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { ask } from '../network/http.js'
import { openServer } from '../network/open-server.js'
import { clientTokenLine, startClientOf } from './clients.js'
import { startTree } from './relay-tree.js'
import { editConfig } from './tree-files.js'

/** The only address that `services.allowed_networks` of {@link startServiceCallers} has. */
export const ALLOWED = '127.0.0.1'
/** Another one of this machine, from which a caller needs a token. */
export const ELSEWHERE = '127.0.0.2'

export interface ServiceCall {
  /** The address that the caller has. @default ALLOWED */
  readonly from?: string
  /** Replaces the host that is asked. */
  readonly host?: string
  /** Header lines. */
  readonly lines?: readonly string[]
  readonly path?: string
  readonly method?: string
  /** Over TLS, at `services.https_listen`. */
  readonly tls?: boolean
}

export interface ServiceAnswer {
  readonly status: number
  /** Head and body. */
  readonly text: string
  /** The head that the service got, names and values in turn; undefined: it was not asked. */
  readonly seen: readonly string[] | undefined
}

/**
 * A relay that takes callers of the service `git`, which records what reaches it, breaks off at `/broken`, is silent at `/held`, and
 * never ends at `/endless`.
 */
export async function startServiceCallers(t: TestContext, tokenLines = '', settings: readonly string[] = []) {
  const tree = await startTree(t, {
    relays: [{ id: 'root', under: 'root', nodes: ['node-r1'] }],
    absent: ['root'],
    settings: {
      tokens: ['clients_file = "clients"', 'admin_file = "admin"'],
      services: [
        'listen = "127.0.0.1:0"',
        'https_listen = "127.0.0.1:0"',
        `allowed_networks = ["${ALLOWED}/32"]`,
        ...settings
      ]
    }
  })
  const relay = tree.relay('root')
  const tokens = join(relay.directory, 'clients')
  await writeFile(tokens, clientTokenLine('git') + tokenLines)
  await writeFile(join(relay.directory, 'admin'), 'an-admin-token-that-is-long-enough\n')
  await tree.restart('root')
  const line = (await tree.processes.get('root')?.logged(text => text.includes('services on http://'))) ?? ''
  const port = Number(/services on http:[^"]+?:(\d+)/.exec(line)?.[1])
  const httpsPort = Number(/services on https:[^"]+?:(\d+)/.exec(line)?.[1])
  const ca = relay.certificate.certificatePem
  let seen: readonly string[] | undefined
  const held: ServerResponse[] = []
  const endless: ServerResponse[] = []
  const service = createServer((request, response) => {
    seen = request.rawHeaders
    if (request.url === '/held') return void held.push(response)
    if (request.url === '/endless') {
      endless.push(response)
      response.write('the beginning')
      return
    }
    if (request.url !== '/broken') return void response.end('from the service')
    response.writeHead(200, { 'content-length': 100 })
    response.write('only this', () => response.destroy())
  })
  const baseUrl = `http://127.0.0.1:${await openServer(t, service)}`
  const client = await startClientOf(t, tree, { relay: 'root', key: 'git', id: 'one', baseUrl })

  async function call(asked: ServiceCall = {}): Promise<ServiceAnswer> {
    seen = undefined
    const at = asked.tls === true ? httpsPort : port
    const socket = connect({ host: '127.0.0.1', port: at, localAddress: asked.from ?? ALLOWED })
    const text = await askService(asked.tls === true ? overTls(socket, ca) : socket, at, asked)
    return { status: statusOf(text), text, seen }
  }
  const reload = async (edit: (text: string) => string) => {
    await editConfig(relay, edit)
    const answer = await ask(relay, '/system/reload', { method: 'POST' })
    assert.equal(answer.status, 200, answer.text)
  }
  return { tree, relay, client, tokens, port, httpsPort, call, reload, seen: () => seen, held, endless }
}

/** The certificate names the node, and not its address. */
function overTls(socket: Socket, ca: string): Socket {
  return connectTls({ socket, ca, checkServerIdentity: () => undefined })
}

/** Asks for a service with the lines as they are, and closes. @returns the whole answer */
export async function askService(socket: Socket, port: number, asked: ServiceCall): Promise<string> {
  const { host = `127.0.0.1:${port}`, lines = [], path = '/v1/relay/git/', method = 'GET' } = asked
  const head = [`${method} ${path} HTTP/1.1`, `Host: ${host}`, 'Connection: close', ...lines, '', '']
  socket.write(head.join('\r\n'), 'latin1')
  let text = ''
  socket.setEncoding('latin1').on('data', piece => {
    text += String(piece)
  })
  socket.on('error', () => undefined) // a reset ends it as well
  await new Promise<void>(resolve => socket.once('close', () => resolve()))
  return text
}

export function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1])
}

/** Asks one of a relay's own listeners for a path. */
export async function askRelay(url: string, path: string, ca: string): Promise<string> {
  const { protocol, port: text } = new URL(url)
  const port = Number(text)
  const socket = connect({ host: '127.0.0.1', port })
  return askService(protocol === 'https:' ? overTls(socket, ca) : socket, port, { path })
}
