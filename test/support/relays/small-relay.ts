import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { type FileMetadata, formatMetadata, parseMetadata } from '../../../src/keys/signatures/file-metadata.js'
import { readPublicKey, verifyFileSignature } from '../../../src/keys/signatures/verify-file.js'
import { RelayError } from '../../../src/values/failures/relay-error.js'

export interface SmallFile {
  readonly metadata: FileMetadata
  readonly content: Buffer
  readonly ttl: string
}

export interface SmallRequest {
  readonly method: string
  /** Below the prefix of the API. */
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

/** Answers one kind of request, `"GET nodes"`. What it returns is sent as JSON; undefined: it answered by itself. */
export type Handler = (request: SmallRequest, response: ServerResponse) => unknown

export interface SmallRelay {
  readonly url: string
  /** In the order in which they came. */
  readonly requests: SmallRequest[]
  /** The files, by `target/source/file-id`. */
  readonly files: Map<string, SmallFile>
  /** Shows what this server does with a request, for one over TLS. */
  readonly listener: RequestListener
}

/** A small server that answers as a relay's API does, with files in memory, for the command line to speak to. */
export async function startSmallRelay(
  t: TestContext,
  handlers: Readonly<Record<string, Handler>> = {}
): Promise<SmallRelay> {
  const requests: SmallRequest[] = []
  const files = new Map<string, SmallFile>()
  const listener: RequestListener = (incoming, response) => {
    answer(incoming, response).catch((error: unknown) => {
      response.writeHead(statusOf(error)).end(`${error instanceof Error ? error.message : String(error)}\n`)
    })
  }

  async function answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? '/', 'http://localhost')
    const body: Buffer[] = []
    for await (const chunk of incoming as AsyncIterable<Buffer>) body.push(chunk)
    const request: SmallRequest = {
      method: incoming.method ?? '',
      path: url.pathname.replace(/^\/rudder\/relay-api\/(?:1\/)?/, ''),
      query: url.searchParams,
      headers: incoming.headers,
      body: Buffer.concat(body)
    }
    requests.push(request)
    const handler = handlers[`${request.method} ${request.path}`]
    if (handler !== undefined) return sendJson(response, await handler(request, response))
    const [group, ...ids] = request.path.split('/').map(decodeURIComponent)
    if (group === 'shared-files') return answerFile(request, response, ids, files)
    response.writeHead(404).end(`no such route: ${request.path}\n`)
  }

  const url = `http://127.0.0.1:${await listen(t, createServer(listener))}`
  return { url, requests, files, listener }
}

/** Listens on loopback until the test ends. @returns the port */
export async function listen(t: TestContext, server: Server, host = '127.0.0.1'): Promise<number> {
  await new Promise<void>(resolve => server.listen(0, host, resolve))
  t.after(() => {
    server.closeAllConnections()
    return new Promise(resolve => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}

function sendJson(response: ServerResponse, value: unknown): void {
  if (value !== undefined) response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

function answerFile(
  request: SmallRequest,
  response: ServerResponse,
  [target = '', source = '', fileId = '']: string[],
  files: Map<string, SmallFile>
): void {
  if (source === '') {
    sendJson(response, { files: listFiles(files, target, request.query.get('file_id')) })
    return
  }
  const name = `${target}/${source}/${fileId}`
  if (request.method === 'PUT') {
    const end = request.body.indexOf('\n\n')
    const metadata = parseMetadata(request.body.subarray(0, end).toString())
    const content = request.body.subarray(end + 2)
    const hash = createHash(metadata.algorithm).update(content).digest()
    verifyFileSignature(metadata, readPublicKey(metadata), { target, source, fileId }, hash)
    files.set(name, { metadata, content, ttl: request.query.get('ttl') ?? '' })
    response.writeHead(200).end()
    return
  }
  const file = files.get(name)
  if (file === undefined) throw new RelayError('NOT_FOUND', `no file ${name}`)
  if (request.method === 'HEAD') {
    response.writeHead(file.metadata.hashValue === request.query.get('hash') ? 200 : 404).end()
    return
  }
  const block = Buffer.from(formatMetadata(file.metadata)).toString('base64')
  response.writeHead(200, { 'treeline-file-metadata': block, 'content-length': file.content.length }).end(file.content)
}

function listFiles(files: Map<string, SmallFile>, target: string, fileId: string | null): object[] {
  return [...files].flatMap(([name, file]) => {
    const [fileTarget, source, id] = name.split('/')
    if (fileTarget !== target || id !== fileId) return []
    const { algorithm, hashValue } = file.metadata
    return [
      {
        source,
        file_id: id,
        size: file.content.length,
        algorithm,
        hash: hashValue,
        expires_at: '2100-01-01T00:00:00.000Z'
      }
    ]
  })
}

function statusOf(error: unknown): number {
  if (!(error instanceof RelayError)) return 500
  return { NOT_FOUND: 404, BAD_SIGNATURE: 403, INVALID_INPUT: 400 }[String(error.code)] ?? 500
}
