import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, request } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'

/**
 * A process of its own that stands in for tinyproxy or nginx where they are not installed. Arguments: `connect <port>
 * <address that it connects from>` or `tls <port> <plain port> <certificate> <key>`. It ends with its standard input.
 */
const [kind, port = '0', target = '0', cert = '', key = ''] = process.argv.slice(2)

function join(one: Duplex, other: Duplex): void {
  one.on('error', () => other.destroy()).on('close', () => other.destroy())
  other.on('error', () => one.destroy()).on('close', () => one.destroy())
  one.pipe(other)
  other.pipe(one)
}

function headersFor(incoming: IncomingMessage) {
  return { ...incoming.headers, 'x-forwarded-for': incoming.socket.remoteAddress ?? '' }
}

if (kind === 'connect') {
  createServer((_request, response) => response.writeHead(405).end())
    .on('connect', ({ url = '' }, near: Duplex) => {
      const [host = '', farPort = ''] = url.split(':')
      const far = connect({ host, port: Number(farPort), localAddress: target }, () =>
        near.write('HTTP/1.1 200 OK\r\n\r\n')
      )
      join(near, far)
    })
    .listen(Number(port), '127.0.0.1')
} else {
  createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) }, (incoming, response) => {
    const { method, url } = incoming
    const outgoing = request({ host: '127.0.0.1', port: target, method, path: url, headers: headersFor(incoming) })
    outgoing.on('response', answer => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    outgoing.on('error', () => response.destroy())
    incoming.pipe(outgoing)
  })
    .on('upgrade', (incoming: IncomingMessage, near: Duplex, head: Buffer) => {
      const far = connect({ host: '127.0.0.1', port: Number(target) }, () => {
        const lines = Object.entries(headersFor(incoming)).map(([name, value]) => `${name}: ${value}\r\n`)
        far.write(`GET ${incoming.url} HTTP/1.1\r\n${lines.join('')}\r\n`)
        far.write(head)
        join(near, far)
      })
      far.on('error', () => near.destroy())
    })
    .listen(Number(port), '127.0.0.1')
}
process.stdin.resume().on('end', () => process.exit())
