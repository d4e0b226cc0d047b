import { execFileSync, spawn } from 'node:child_process'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { createGunzip } from 'node:zlib'
import { openServer } from './open-server.js'

export interface GitServer {
  readonly url: string
  /** Requests that came, as `method path`. */
  readonly requests: readonly string[]
}

/**
 * A Git server: the real `git http-backend`, as a web server runs it.
 * @param folder with the repositories
 * @param login `user:password`; without it, 401
 */
export async function startGitServer(t: TestContext, folder: string, login: string): Promise<GitServer> {
  const backend = join(execFileSync('git', ['--exec-path'], { encoding: 'utf8' }).trim(), 'git-http-backend')
  const requests: string[] = []
  const expected = `Basic ${Buffer.from(login).toString('base64')}`
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    if (request.headers.authorization === expected) runBackend(backend, folder, request, response)
    else response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end()
  })
  return { url: `http://127.0.0.1:${await openServer(t, server)}`, requests }
}

function runBackend(backend: string, folder: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url ?? '/', 'http://git')
  const isZipped = request.headers['content-encoding'] === 'gzip'
  const child = spawn(backend, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: folder,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      REMOTE_USER: 'user',
      REMOTE_ADDR: '127.0.0.1',
      REQUEST_METHOD: request.method,
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      ...(isZipped ? {} : { CONTENT_LENGTH: request.headers['content-length'] ?? '' })
    }
  })
  child.stdin.on('error', () => undefined) // it has read what it needs
  if (isZipped) request.pipe(createGunzip()).pipe(child.stdin)
  else request.pipe(child.stdin)
  let head = Buffer.alloc(0)
  let isHeadSent = false
  child.stdout.on('data', (chunk: Buffer) => {
    if (isHeadSent) {
      if (!response.write(chunk)) child.stdout.pause()
      return
    }
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end === -1) return
    isHeadSent = true
    sendHead(response, head.toString('latin1', 0, end))
    response.write(head.subarray(end + 4))
  })
  response.on('drain', () => child.stdout.resume())
  child.stdout.on('end', () => response.end())
}

/** The head of a CGI program: fields, among them perhaps `Status`. */
function sendHead(response: ServerResponse, text: string): void {
  let status = 200
  for (const line of text.split('\r\n')) {
    const [name = '', value = ''] = line.split(/: */, 2)
    if (name.toLowerCase() === 'status') status = Number.parseInt(value, 10)
    else response.setHeader(name, value)
  }
  response.writeHead(status)
}
