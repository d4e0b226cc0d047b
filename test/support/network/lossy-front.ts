import { createServer, type IncomingMessage, request } from 'node:http'
import type { TestContext } from 'node:test'
import { openServer } from './open-server.js'

/**
 * A web server in front of a relay that answers the first request with 502 once the relay has answered, as when it gave
 * up a moment before. @param to `http://host:port` @returns its own URL, and the orders that it passed on
 */
export async function startLossyFront(t: TestContext, to: string) {
  const passed: IncomingMessage[] = []
  const server = createServer((incoming, response) => {
    passed.push(incoming)
    const isLost = passed.length === 1
    const { method, url, headers } = incoming
    const outgoing = request(new URL(url ?? '/', to), { method, headers: { ...headers, host: new URL(to).host } })
    outgoing.on('response', answer => {
      if (isLost) {
        answer.destroy()
        response.writeHead(502).end('Bad Gateway')
        return
      }
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    outgoing.on('error', () => response.destroy())
    incoming.pipe(outgoing)
  })
  return { url: `http://127.0.0.1:${await openServer(t, server)}`, passed }
}
