import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { TestContext } from 'node:test'
import { WebSocketServer } from 'ws'
import { openServer } from './open-server.js'

/** A web site with a log-in. */
export interface WebSite {
  /** The base URL of the site: below a path, as many have one. */
  readonly baseUrl: string
  /** The requests that came, as `GET /app/`, upgrades among them. */
  readonly requests: readonly string[]
  /** The cookies that came with them. */
  readonly cookies: ReadonlySet<string>
}

const BASE = '/app'

/** The page behind the log-in: it loads a style sheet, and speaks over a WebSocket. All its links are relative. */
const HOME = `<!doctype html><title>home</title><link rel="stylesheet" href="style.css">
<p id="user"></p><p id="echo"></p>
<script>
  fetch('user').then(answer => answer.text()).then(text => { user.textContent = text })
  const socket = new WebSocket(new URL('socket', location.href).href.replace(/^http/, 'ws'))
  socket.onopen = () => socket.send('hello')
  socket.onmessage = ({ data }) => { echo.textContent = data }
</script>`

const LOGIN = `<!doctype html><title>log in</title>
<form method="post" action="login"><input name="user"><button>go</button></form>`

/**
 * Serves a site that redirects to a log-in (by a path, and afterwards by a whole URL), keeps the user in a cookie for its own path,
 * and has a page with a style sheet and a WebSocket.
 * @param name the beginning of all that it says
 */
export async function startWebSite(t: TestContext, name: string): Promise<WebSite> {
  const requests: string[] = []
  const cookies = new Set<string>()
  const note = ({ method, url, headers }: IncomingMessage) => {
    requests.push(`${method} ${url}`)
    for (const cookie of headers.cookie?.split('; ') ?? []) cookies.add(cookie)
  }
  const userOf = ({ headers }: IncomingMessage) => /(?:^|; )session=([a-z]+)/.exec(headers.cookie ?? '')?.[1]

  function serve(request: IncomingMessage, response: ServerResponse): void {
    note(request)
    const page = (text: string, type = 'text/html') => response.writeHead(200, { 'content-type': type }).end(text)
    const path = request.url?.slice(BASE.length)
    if (path === '/login' && request.method === 'POST') logIn(request, response)
    else if (path === '/login') page(LOGIN)
    else if (path === '/style.css') page('p { color: rgb(1, 2, 3) }', 'text/css')
    else if (path === '/user') page(`${name} knows ${userOf(request) ?? 'nobody'}`, 'text/plain')
    else if (path !== '/') response.writeHead(404).end()
    else if (userOf(request) === undefined) response.writeHead(302, { location: `${BASE}/login` }).end()
    else page(HOME)
  }

  function logIn(request: IncomingMessage, response: ServerResponse): void {
    let form = ''
    request.setEncoding('utf8').on('data', part => {
      form += String(part)
    })
    request.on('end', () => {
      const user = new URLSearchParams(form).get('user') ?? ''
      const cookie = `session=${user}; Path=${BASE}; HttpOnly; SameSite=Lax`
      const shown = `name=${name}; Path=${BASE}` // for scripts as well
      const location = `http://${request.headers.host}${BASE}/`
      response.writeHead(303, { 'set-cookie': [cookie, shown], location }).end()
    })
  }

  const server = createServer(serve)
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: true })
  server.on('upgrade', (request, socket, head) => {
    note(request)
    const user = userOf(request)
    if (user === undefined) return void socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')
    sockets.handleUpgrade(request, socket, head, each => {
      each.on('message', data => each.send(`${name} says ${String(data)} to ${user}`))
    })
  })
  return { baseUrl: `http://127.0.0.1:${await openServer(t, server)}${BASE}`, requests, cookies }
}
