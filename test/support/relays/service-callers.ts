import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { TreeRelay } from '../../../demo/relay-tree.js'
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
}

export interface ServiceAnswer {
  readonly status: number
  /** Head and body. */
  readonly text: string
  /** The head that the service got, names and values in turn; undefined: it was not asked. */
  readonly seen: readonly string[] | undefined
}

/** A relay with `services.listen` and the service `git` at a client, which records what reaches it. */
export async function startServiceCallers(t: TestContext, tokenLines = '', settings: readonly string[] = []) {
  const tree = await startTree(t, {
    relays: [{ id: 'root', under: 'root', nodes: ['node-r1'] }],
    absent: ['root'],
    settings: {
      tokens: ['clients_file = "clients"', 'admin_file = "admin"'],
      services: ['listen = "127.0.0.1:0"', `allowed_networks = ["${ALLOWED}/32"]`, ...settings]
    }
  })
  const relay = tree.relay('root')
  const tokens = join(relay.directory, 'clients')
  await writeFile(tokens, clientTokenLine('git') + tokenLines)
  await writeFile(join(relay.directory, 'admin'), 'an-admin-token-that-is-long-enough\n')
  await tree.restart('root')
  const line = await tree.processes.get('root')?.logged(text => text.includes('services on http://'))
  const port = Number(/services on http:[^"]+:(\d+)/.exec(line ?? '')?.[1])
  let seen: readonly string[] | undefined
  const service = createServer((request, response) => {
    seen = request.rawHeaders
    response.end('from the service')
  })
  const baseUrl = `http://127.0.0.1:${await openServer(t, service)}`
  const client = await startClientOf(t, tree, { relay: 'root', key: 'git', id: 'one', baseUrl })

  async function call(asked: ServiceCall = {}): Promise<ServiceAnswer> {
    seen = undefined
    const text = await askService(
      connect({ host: '127.0.0.1', port, localAddress: asked.from ?? ALLOWED }),
      port,
      asked
    )
    return { status: statusOf(text), text, seen }
  }
  const reload = async (edit: (text: string) => string) => {
    await editConfig(relay, edit)
    const answer = await ask(relay, '/system/reload', { method: 'POST' })
    assert.equal(answer.status, 200, answer.text)
  }
  return { tree, relay, client, tokens, port, call, reload, seen: () => seen }
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
  await once(socket, 'close')
  return text
}

export function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1])
}

/** Asks one of a relay's own listeners for a path. */
export async function askRelay({ localUrl }: TreeRelay, path: string): Promise<string> {
  const port = Number(new URL(localUrl).port)
  return askService(connect({ host: '127.0.0.1', port }), port, { path })
}
