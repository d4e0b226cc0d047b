import { type IncomingHttpHeaders, request as plainRequest } from 'node:http'
import { request as tlsRequest } from 'node:https'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { TreeMember, TreeRelay } from '../../../demo/relay-tree.js'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly text: string
}

export interface AskOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer | string | Readable
  /** Asks over TLS with this member's certificate; `null`: over TLS without one. Undefined: as a local caller. */
  readonly as?: TreeMember | null
  readonly signal?: AbortSignal
}

/** Asks a relay. @param path below its address: `/uuid`, `/rudder/relay-api/…` */
export function ask(relay: TreeRelay, path: string, options: AskOptions = {}): Promise<Answer> {
  const { as, method = 'GET', headers = {}, body, signal } = options
  const isStream = body !== undefined && typeof body !== 'string' && !Buffer.isBuffer(body)
  const common = { method, headers, ...(signal === undefined ? {} : { signal }) }
  const outgoing =
    as === undefined
      ? plainRequest(relay.localUrl + path, common)
      : tlsRequest(relay.url + path, { ...common, ...tls(relay, as) })
  return new Promise((resolve, reject) => {
    outgoing.on('error', reject)
    outgoing.on('response', response => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const all = Buffer.concat(chunks)
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: all, text: all.toString() })
      })
    })
    if (isStream) pipeline(body, outgoing).catch(reject)
    else outgoing.end(body)
  })
}

/** Posts a form, as existing callers of the remote-run API do. */
export function postForm(
  relay: TreeRelay,
  path: string,
  form: Readonly<Record<string, string>>,
  options: AskOptions = {}
): Promise<Answer> {
  const headers = { 'content-type': 'application/x-www-form-urlencoded', ...options.headers }
  return ask(relay, path, { ...options, method: 'POST', headers, body: new URLSearchParams(form).toString() })
}

function tls(relay: TreeRelay, as: TreeMember | null) {
  return {
    ca: relay.certificate.certificatePem,
    allowPartialTrustChain: true,
    checkServerIdentity: () => undefined,
    minVersion: 'TLSv1.3' as const,
    ...(as === null ? {} : { cert: as.certificate.certificatePem, key: as.certificate.privateKeyPem })
  }
}
