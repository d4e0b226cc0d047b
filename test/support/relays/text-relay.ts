import { once } from 'node:events'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import type { TestContext } from 'node:test'
import { type CertificateMaterial, makeAgentCertificate } from '../../../demo/pki.js'
import { startHttpsPeer } from '../network/tls-peer.js'
import { checkFile, type FilePath, splitBody, type TextRelayFile } from './text-relay-files.js'

/** The paths that the httpd in front of an existing relay maps; anything else is its own 404. */
const PREFIX = '/rudder/relay-api/'
const MAX_BODY_BYTES = 50 * 1024 * 1024
const CONDITION = /^[a-zA-Z0-9][a-zA-Z0-9_]*$/

export interface TextRelayOptions {
  readonly id?: string
  /** @default a new self-signed one */
  readonly certificate?: CertificateMaterial
  /** The nodes below it, with their key hashes (`sha256:<hex>`). */
  readonly nodes: ReadonlyMap<string, string | undefined>
  /** The port (on loopback) of its policy server; at the root there is none. */
  readonly upperPort?: number
  /** The output of a node's agent, in pieces as they come. @default one line that names the node */
  readonly run?: (node: string, conditions: readonly string[]) => Iterable<string> | AsyncIterable<string>
}

/** A request as it came in. */
export interface RecordedRequest {
  readonly method: string
  /** Raw, with slashes and query as sent. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface RemoteRunFields {
  readonly keepOutput: boolean
  readonly asynchronous: boolean
  readonly classes?: readonly string[]
  /** For `remote-run/nodes`. */
  readonly nodes?: readonly string[]
}

export interface TextRelay {
  readonly id: string
  readonly port: number
  readonly certificate: CertificateMaterial
  readonly requests: readonly RecordedRequest[]
  /** The files, by `<target>/<source>/<file-id>`. */
  readonly files: ReadonlyMap<string, TextRelayFile>
  /** Nodes that it ran, in order, with their conditions. */
  readonly runs: readonly { readonly node: string; readonly conditions: readonly string[] }[]
  /**
   * Asks a relay below it (at `port` of loopback) as an existing relay does: `classes` always there, the plain text
   * read as it comes, no client certificate.
   */
  sendRemoteRun(port: number, path: 'all' | 'nodes', fields: RemoteRunFields): Promise<IncomingMessage>
}

/** A stand-in for an existing relay, httpd in front included: it speaks only the text form, and shows no header of ours. */
export async function startTextRelay(t: TestContext, options: TextRelayOptions): Promise<TextRelay> {
  const id = options.id ?? 'text-relay'
  const certificate = options.certificate ?? (await makeAgentCertificate({ nodeId: id, hostname: 'localhost' }))
  const state: State = { options, requests: [], files: new Map(), runs: [] }
  const peer = await startHttpsPeer(t, certificate, (request, response) => {
    answer(state, request, response).catch(error => {
      if (!response.headersSent) response.statusCode = 500
      response.end(String(error))
    })
  })
  return {
    id,
    port: peer.port,
    certificate,
    requests: state.requests,
    files: state.files,
    runs: state.runs,
    sendRemoteRun
  }
}

interface State {
  readonly options: TextRelayOptions
  readonly requests: RecordedRequest[]
  readonly files: Map<string, TextRelayFile>
  readonly runs: { node: string; conditions: readonly string[] }[]
}

async function answer(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = '', url = '' } = request
  const body = await buffer(request)
  state.requests.push({ method, url, headers: request.headers, body })
  const [path = '', query = ''] = url.split('?', 2)
  const [group, ...rest] = path.startsWith(PREFIX) ? path.slice(PREFIX.length).split('/').map(decodeURIComponent) : []
  if (group === 'remote-run' && method === 'POST')
    return answerRun(state, rest, new URLSearchParams(String(body)), response)
  if (group === 'shared-files' && (method === 'PUT' || method === 'HEAD') && rest.length === 3) {
    const [target = '', source = '', fileId = ''] = rest
    const result = await answerFile(state, method, { target, source, fileId }, query, body)
    response.statusCode = result.status
    response.end(result.text)
    return
  }
  response.statusCode = 404
  response.end('not found')
}

async function answerFile(
  state: State,
  method: 'PUT' | 'HEAD',
  path: FilePath,
  query: string,
  body: Buffer
): Promise<{ status: number; text?: string }> {
  const { nodes, upperPort } = state.options
  const name = `${path.target}/${path.source}/${path.fileId}`
  const parameters = new URLSearchParams(query)
  if (!nodes.has(path.target)) {
    return upperPort === undefined
      ? { status: 404, text: 'unknown target' }
      : forward(upperPort, method, `//relay-api/shared-files/${name}${query === '' ? '' : `?${query}`}`, body)
  }
  if (method === 'HEAD') {
    const kept = state.files.get(name)?.metadata.get('hash_value')
    return { status: kept !== undefined && kept === parameters.get('hash') ? 200 : 404 }
  }
  if (body.length > MAX_BODY_BYTES) return { status: 413, text: 'too large' }
  const ttl = parameters.get('ttl') ?? undefined
  const result = checkFile(body, ttl, nodes.get(path.source))
  const parts = splitBody(body)
  if (result.status === 200 && parts !== undefined) state.files.set(name, { ...parts, ttl: ttl ?? '' })
  return result
}

/** The target as it is seen on the wire: two slashes, no `/rudder`, and nothing but `Host`, `Accept` and the length. */
async function forward(
  port: number,
  method: string,
  path: string,
  body: Buffer
): Promise<{ status: number; text: string }> {
  try {
    const headers = { accept: '*/*', ...(method === 'PUT' ? { 'content-length': body.length } : {}) }
    const response = await send(port, method, path, headers, body)
    return { status: response.statusCode ?? 500, text: String(await buffer(response)) }
  } catch (error) {
    return { status: 500, text: String(error) }
  }
}

async function answerRun(
  state: State,
  path: readonly string[],
  form: URLSearchParams,
  response: ServerResponse
): Promise<void> {
  const conditions = (form.get('conditions') ?? form.get('classes') ?? '').split(',').filter(name => name !== '')
  const chosen = chooseNodes(state, path, form)
  const problem = conditions.find(condition => !CONDITION.test(condition))
  if (typeof chosen === 'number' || problem !== undefined) {
    response.statusCode = typeof chosen === 'number' ? chosen : 400
    response.end(chosen === 404 ? 'Unknown node' : chosen === 400 ? 'Missing nodes' : `invalid condition: ${problem}`)
    return
  }
  const keepOutput = form.get('keep_output') === 'true'
  const asynchronous = form.get('asynchronous') === 'true'
  response.setHeader('content-type', 'text/plain')
  const output = runNodes(state, chosen, conditions)
  if (asynchronous && keepOutput) {
    response.flushHeaders()
    await pipeline(Readable.from(output), response)
    return
  }
  if (asynchronous) response.end()
  let text = ''
  for await (const piece of output) text += piece
  if (!asynchronous) response.end(keepOutput ? text : '')
}

function chooseNodes(state: State, path: readonly string[], form: URLSearchParams): string[] | 400 | 404 {
  const { nodes } = state.options
  const [kind, id] = path
  if (kind === 'all') return [...nodes.keys()]
  if (kind !== 'nodes') return 404
  if (id !== undefined) return nodes.has(id) ? [id] : 404
  const listed = (form.get('nodes') ?? '').split(',').filter(name => name !== '')
  // Of nodes that it does not know it says nothing.
  return listed.length === 0 ? 400 : listed.filter(name => nodes.has(name))
}

async function* runNodes(
  state: State,
  nodes: readonly string[],
  conditions: readonly string[]
): AsyncGenerator<string> {
  const run = state.options.run ?? (node => [`output of ${node}\n`])
  for (const node of nodes) {
    state.runs.push({ node, conditions })
    yield* run(node, conditions)
  }
}

function sendRemoteRun(port: number, path: 'all' | 'nodes', fields: RemoteRunFields): Promise<IncomingMessage> {
  const form = new URLSearchParams({
    keep_output: String(fields.keepOutput),
    asynchronous: String(fields.asynchronous),
    classes: (fields.classes ?? []).join(',')
  })
  if (fields.nodes !== undefined) form.set('nodes', fields.nodes.join(','))
  const headers = { accept: '*/*', 'content-type': 'application/x-www-form-urlencoded' }
  return send(port, 'POST', `${PREFIX}remote-run/${path}`, headers, Buffer.from(form.toString()))
}

async function send(
  port: number,
  method: string,
  path: string,
  headers: Record<string, string | number>,
  body: Buffer
): Promise<IncomingMessage> {
  const request = httpsRequest({
    host: '127.0.0.1',
    port,
    method,
    path,
    headers,
    agent: false,
    rejectUnauthorized: false
  })
  request.end(method === 'HEAD' ? undefined : body)
  const [response] = await once(request, 'response')
  return response
}
