import {
  createSecureServer,
  createServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream
} from 'node:http2'
import type { TestContext } from 'node:test'
import { makeAgentCertificate } from '../../../demo/pki.js'
import { eventually } from '../eventually.js'
import { openServer } from '../network/open-server.js'
import { startRelaysTo } from '../parts/relays-to-service.js'

/** A request at a service in HTTP/2. */
export interface SeenRequest {
  readonly stream: ServerHttp2Stream
  /** Names and values in turn, pseudo-headers among them. */
  readonly raw: readonly string[]
  /** The body so far. */
  readonly text: () => string
  readonly trailers: () => readonly string[] | undefined
  readonly hasEnded: () => boolean
}

export interface Http2ServiceTree {
  /** The port at which callers ask. */
  readonly port: number
  readonly servicePort: number
  /** The next request at the service. */
  seen(): Promise<SeenRequest>
  /** The connections to the service so far. */
  readonly sessions: readonly ServerHttp2Session[]
  readonly server: Http2Server
}

export interface Http2ServiceOptions {
  readonly isTls?: boolean
  readonly levels?: number
  /** The bound that the service tells. */
  readonly maxConcurrentStreams?: number
}

/** An entry, a client under the key `git`, and a service in HTTP/2. */
export async function startHttp2Service(
  t: TestContext,
  { isTls = false, levels = 1, maxConcurrentStreams = 100 }: Http2ServiceOptions = {}
): Promise<Http2ServiceTree> {
  const certificate = await makeAgentCertificate({ nodeId: 'service', hostname: 'localhost' })
  const options = { settings: { maxConcurrentStreams } }
  const identity = { cert: certificate.certificatePem, key: certificate.privateKeyPem }
  const server = isTls ? createSecureServer({ ...options, ...identity }) : createServer(options)
  const waiting: SeenRequest[] = []
  const sessions: ServerHttp2Session[] = []
  server.on('session', session => {
    sessions.push(session)
    session.on('error', () => undefined)
  })
  server.on('stream', (stream: ServerHttp2Stream, ...[, , raw]: [unknown, unknown, (readonly string[])?]) => {
    let text = ''
    let trailers: readonly string[] | undefined
    stream.setEncoding('latin1').on('data', piece => {
      text += String(piece)
    })
    stream.on('trailers', (...[, , block]: [unknown, unknown, (readonly string[])?]) => {
      trailers = block
    })
    stream.on('error', () => undefined)
    waiting.push({
      stream,
      raw: raw ?? [],
      text: () => text,
      trailers: () => trailers,
      hasEnded: () => stream.readableEnded
    })
  })
  const servicePort = await openServer(t, server)
  t.after(() => {
    for (const session of sessions) session.destroy()
  })
  const baseUrl = isTls ? `https://localhost:${servicePort}` : `http://127.0.0.1:${servicePort}`
  const ca = [certificate.certificatePem]
  const port = await startRelaysTo(t, baseUrl, { levels, protocol: isTls ? 'h2' : 'h2c', ca })
  return {
    port,
    servicePort,
    seen: () => eventually('a request at the service', () => waiting.shift()),
    sessions,
    server
  }
}
