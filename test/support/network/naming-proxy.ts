import { createServer, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TestContext } from 'node:test'
import { openServer } from './open-server.js'

/**
 * An HTTP proxy that leads every name to loopback; closed with the test.
 * @param refuses how many of the first requests are answered with 502
 */
export async function startNamingProxy(t: TestContext, refuses = 0) {
  const asked: IncomingMessage[] = []
  const server = createServer().on('connect', (request: IncomingMessage, near: Duplex) => {
    asked.push(request)
    if (asked.length <= refuses) return void near.end('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n')
    const far = connect({ host: '127.0.0.1', port: Number(request.url?.split(':').at(-1)) }, () => {
      near.write('HTTP/1.1 200 Connection established\r\nx-proxy: 1\r\n\r\n')
      near.pipe(far).pipe(near)
    })
    near.on('error', () => far.destroy()).on('close', () => far.destroy())
    far.on('error', () => near.destroy()).on('close', () => near.destroy())
  })
  return { port: await openServer(t, server), asked }
}
