import { once } from 'node:events'
import type { IncomingMessage, RequestListener } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { pino } from 'pino'
import { type CertificateMaterial, makeAgentCertificate } from '../../../demo/pki.js'
import { Dialer, type DialerOptions } from '../../../src/links/lower/dialer.js'
import { LowerLink } from '../../../src/links/lower/lower-link.js'
import {
  type Admission,
  createLinkAcceptor,
  type LinkAcceptorOptions
} from '../../../src/links/upper/accepting/link-acceptor.js'
import { LinkRegistry } from '../../../src/links/upper/link-registry.js'
import { readCredentials } from '../../../src/links/wire/credentials.js'
import type { PieceBudget } from '../../../src/network/sources/piece-budget.js'

const logger = pino({ level: process.env.TEST_LOG ?? 'silent' })

export interface UpperSide {
  readonly registry: LinkRegistry
  readonly certificate: CertificateMaterial
  readonly url: string
  readonly server: Server
  /** Breaks all connections, without a word. */
  cut(): void
  /** Takes no more, and ends what stands with a word. */
  stop(): void
}

/** The upper side of links on a TLS server of its own. Whoever's certificate `known` names is admitted as a node. */
export async function startUpperSide(
  t: TestContext,
  known: ReadonlyMap<string, string>,
  options: Partial<LinkAcceptorOptions> & { readonly max?: number } = {}
): Promise<UpperSide> {
  const certificate = await makeAgentCertificate({ nodeId: 'root', hostname: '127.0.0.1' })
  const registry = new LinkRegistry({ max: options.max ?? 100, logger })
  const acceptor = createLinkAcceptor({ selfId: 'root', registry, admit: admitKnown(known), logger, ...options })
  const server = createServer({ cert: certificate.certificatePem, key: certificate.privateKeyPem })
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) =>
    acceptor.upgrade(request, socket, head)
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  t.after(async () => {
    acceptor.close()
    const closed = once(server, 'close')
    server.close()
    cut()
    await closed
  })
  const url = `wss://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { registry, certificate, url, server, cut, stop: () => acceptor.close() }
}

/** @param known id of each node by the base64 of its certificate */
function admitKnown(known: ReadonlyMap<string, string>): (certificate: Buffer) => Admission {
  return certificate => {
    const id = known.get(certificate.toString('base64'))
    return id === undefined ? { refused: 'nobody knows this certificate' } : { owner: { kind: 'node', id } }
  }
}

export interface LowerSide {
  readonly dialer: Dialer
  readonly end: LowerLink
}

/** A lower side that serves `routing`; not started yet. */
export function makeLowerSide(
  t: TestContext,
  upper: Pick<UpperSide, 'url' | 'certificate'>,
  own: CertificateMaterial,
  routing: RequestListener,
  options: Partial<DialerOptions> = {},
  pieces?: PieceBudget
): LowerSide {
  const end = new LowerLink({
    routing,
    openLane: (linkId, purpose) => dialer.openLane(linkId, purpose),
    ...(pieces === undefined ? {} : { pieces })
  })
  const dialer = new Dialer({
    upper: async () => ({
      url: upper.url,
      tls: {
        ca: [upper.certificate.certificatePem],
        allowPartialTrustChain: true,
        checkServerIdentity: () => undefined
      } as object,
      pins: new Set([upper.certificate.fingerprint])
    }),
    handshake: async () => ({
      credentials: readCredentials({ cert: own.certificatePem, key: own.privateKeyPem }),
      program: '0.1.0'
    }),
    end,
    logger,
    backoff: { firstMs: 20, maxMs: 200 },
    ...options
  })
  t.after(() => dialer.stop())
  return { dialer, end }
}
