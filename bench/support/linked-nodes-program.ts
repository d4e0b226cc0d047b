// Thousands of nodes in one process: each holds a link of its own, with the real protocol, and answers orders at once.
import { createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, RequestListener } from 'node:http'
import { createSecureContext, TLSSocket } from 'node:tls'
import { pino } from 'pino'
import { Dialer } from '../../src/links/lower/dialer.js'
import { LowerLink } from '../../src/links/lower/lower-link.js'

export interface LinkedNodesInput {
  readonly port: number
  readonly serverCertificateFile: string
  readonly serverFingerprint: string
  /** JSON: `{ keyPem, nodes: [{ id, certificate (base64 DER) }] }`; one key serves all. */
  readonly nodesFile: string
}

/** Told to the parent. */
export interface LinkedNodesReport {
  readonly connected: number
}

interface NodesFile {
  readonly keyPem: string
  readonly nodes: readonly { readonly id: string; readonly certificate: string }[]
}

const REPORT_EVERY_MS = 20

const input = JSON.parse(process.argv[2] ?? '{}') as LinkedNodesInput
const { keyPem, nodes } = JSON.parse(readFileSync(input.nodesFile, 'utf8')) as NodesFile
const key = createPrivateKey(keyPem)
const secureContext = createSecureContext({
  ca: readFileSync(input.serverCertificateFile),
  allowPartialTrustChain: true
})
const end = new LowerLink({ routing: answerOrder, openLane: () => Promise.reject(new Error('no bulk for these')) })
const logger = pino({ level: 'silent' })
let connected = 0
const dialers = nodes.map(({ certificate }) => {
  const credentials = { certificate: Buffer.from(certificate, 'base64'), key }
  const dialer = new Dialer({
    upper: async () => ({
      url: `wss://127.0.0.1:${input.port}`,
      tls: { secureContext, checkServerIdentity: () => undefined },
      pins: new Set([input.serverFingerprint])
    }),
    handshake: async () => ({ credentials, program: 'benchmark' }),
    end,
    logger
  })
  dialer.onChange(({ isConnected }) => {
    connected += isConnected ? 1 : -1
  })
  return dialer
})

/** Answers as an agent whose command ends at once. */
function answerOrder(request: IncomingMessage, response: Parameters<RequestListener>[1]): void {
  request.resume()
  request.on('end', () => {
    const node = /remote-run\/nodes\/([^/?]+)$/.exec(request.url ?? '')?.[1] ?? ''
    const run = String(request.headers['treeline-run-id'])
    const events = [
      { event: 'start', relay: node },
      { event: 'node', node, relay: node, outcome: 'running' },
      { event: 'node', node, relay: node, outcome: 'done', exit_code: 0, duration_ms: 1 },
      { event: 'end', relay: node, outcome: 'done', duration_ms: 1 }
    ]
    response.writeHead(200, { 'content-type': 'application/x-ndjson', 'treeline-run-id': run, 'treeline-relay': '0' })
    response.end(events.map((event, index) => `${JSON.stringify({ seq: index + 1, run, ...event })}\n`).join(''))
  })
}

/** Ends all connections, without a word: as when a firewall between forgets them. */
function cut(): void {
  const handles: unknown = Reflect.apply(Reflect.get(process, '_getActiveHandles'), process, [])
  if (!Array.isArray(handles)) throw new Error('Node does not tell which connections are open')
  for (const handle of handles) if (handle instanceof TLSSocket) handle.destroy()
}

process.on('message', message => {
  if (message === 'start') for (const dialer of dialers) dialer.start()
  if (message === 'cut') cut()
})
process.on('disconnect', () => process.exit())
setInterval(() => {
  const report: LinkedNodesReport = { connected }
  process.send?.(report)
}, REPORT_EVERY_MS)
