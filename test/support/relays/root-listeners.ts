import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { ask } from '../network/http.js'
import { openServer } from '../network/open-server.js'
import { clientTokenLine, startClientOf } from './clients.js'
import { startTree } from './relay-tree.js'
import { askService, type ServiceCall, statusOf } from './service-callers.js'
import { editConfig } from './tree-files.js'

/** A token that may call `git` alone, and one that may call every service. */
export const GIT_TOKEN = 'a-token-of-a-caller-of-git-alone'
export const ALL_TOKEN = 'a-token-of-a-caller-of-every-service'

export interface RootCall extends Pick<ServiceCall, 'from' | 'host' | 'lines' | 'path'> {
  readonly port: number
  /** Over TLS, with these options. */
  readonly secure?: ConnectionOptions
}

/**
 * A relay with sections `[[service_listener]]`, and the services `git` and `web` behind it. Each answers with its name and what
 * it was asked, redirects at `/moved`, and is silent at `/held`.
 */
export async function startRootListeners(t: TestContext, sections: string) {
  const tree = await startTree(t, {
    relays: [{ id: 'root', under: 'root', nodes: ['node-r1'] }],
    absent: ['root'],
    settings: {
      tokens: ['clients_file = "clients"'],
      services: ['listen = "127.0.0.1:0"', 'allowed_networks = ["127.0.0.1/32"]']
    }
  })
  const relay = tree.relay('root')
  const callerLine = (scope: string, token: string) => `${scope} ${createHash('sha256').update(token).digest('hex')}\n`
  await writeFile(
    join(relay.directory, 'clients'),
    [
      clientTokenLine('git'),
      clientTokenLine('web'),
      callerLine('call:git', GIT_TOKEN),
      callerLine('call:*', ALL_TOKEN)
    ].join('')
  )
  await editConfig(relay, text => `${text}\n${sections}`)
  const running = await tree.restart('root')
  const ready = await running.logged(text => text.includes('services on http://'))
  const ports = [...ready.matchAll(/services at https?:[^"]+?:(\d+)/g)].map(([, port]) => Number(port))
  const pathPort = Number(/services on http:[^"]+?:(\d+)/.exec(ready)?.[1])
  const held: ServerResponse[] = []
  for (const key of ['git', 'web']) {
    const service = createServer((request, response) => {
      const { url = '' } = request
      if (url === '/held') return void held.push(response)
      if (url === '/moved') response.writeHead(302, { location: `http://${request.headers.host}/there?x` })
      const prefix = request.headers['x-forwarded-prefix'] ?? 'none'
      response.end(`${key} was asked for ${url} with prefix ${String(prefix)}`)
    })
    const baseUrl = `http://127.0.0.1:${await openServer(t, service)}`
    await startClientOf(t, tree, { relay: 'root', key, id: 'one', baseUrl })
  }

  async function call({ port, from = '127.0.0.1', secure, ...asked }: RootCall) {
    const socket = connect({ host: '127.0.0.1', port, localAddress: from })
    const text = await askService(secure === undefined ? socket : overTls(socket, secure), port, {
      path: '/',
      ...asked
    })
    return { status: statusOf(text), text }
  }
  const ca = relay.certificate.certificatePem
  const overTls = (socket: Socket, options: ConnectionOptions) =>
    connectTls({ socket, ca, checkServerIdentity: () => undefined, ...options })
  const edit = (change: (text: string) => string) => editConfig(relay, change)
  const reload = async () => {
    const answer = await ask(relay, '/system/reload', { method: 'POST' })
    return { status: answer.status, text: answer.text }
  }
  /** The port of the listener that a reload has opened. */
  const openedPort = async (before: number) => {
    const lines = () => running.log.filter(line => line.includes('listener for services opened'))
    await running.logged(() => lines().length > before)
    return Number(/services at https?:[^"]+?:(\d+)/.exec(lines().at(-1) ?? '')?.[1])
  }
  assert.ok(pathPort > 0, ready)
  return { relay, running, ports, pathPort, held, call, edit, reload, openedPort, overTls }
}
