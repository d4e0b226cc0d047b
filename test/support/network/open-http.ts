import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { RequestListener, Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { makeAgentCertificate } from '../../../demo/pki.js'
import { completeServer, createPlainServer, serverOptions } from '../../../src/api/http-server-options.js'

const LIMITS = { headersTimeoutMs: 60_000 }
export const WAYS = ['TCP', 'TLS', 'a Unix socket'] as const
export type Way = (typeof WAYS)[number]

export interface OpenedHttp {
  readonly server: Server
  /** @param localAddress the caller's, where it has one */
  connect(localAddress?: string): Promise<Socket>
}

/** Opens a server with all of our rules, in one of the ways. It is closed with the test. */
export async function openHttp(t: TestContext, way: Way, listener: RequestListener): Promise<OpenedHttp> {
  const server = way === 'TLS' ? await createTls(listener) : createPlainServer(LIMITS, listener)
  const folder = mkdtempSync(join(tmpdir(), 'turns-'))
  const path = join(folder, 'socket')
  if (way === 'a Unix socket') server.listen(path)
  else server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
    rmSync(folder, { recursive: true })
  })
  return {
    server,
    connect: async (localAddress = '127.0.0.1') => {
      const port = way === 'a Unix socket' ? 0 : (server.address() as AddressInfo).port
      const came = once(server, way === 'TLS' ? 'secureConnection' : 'connection')
      const socket =
        way === 'TLS'
          ? connectTls({ host: '127.0.0.1', port, localAddress, rejectUnauthorized: false } as ConnectionOptions)
          : connect(way === 'a Unix socket' ? { path } : { host: '127.0.0.1', port, localAddress })
      socket.on('error', () => undefined) // `close` follows
      t.after(() => socket.destroy())
      await Promise.all([once(socket, way === 'TLS' ? 'secureConnect' : 'connect'), came])
      return socket
    }
  }
}

/** The same server for TLS, which does not listen yet. */
export async function createTls(listener: RequestListener): Promise<Server> {
  const { certificatePem, privateKeyPem } = await makeAgentCertificate({ nodeId: 'n1', hostname: 'localhost' })
  const server = createHttpsServer({ ...serverOptions(LIMITS), cert: certificatePem, key: privateKeyPem })
  completeServer(server, listener)
  return server
}
