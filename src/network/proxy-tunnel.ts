import { request as plainRequest } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { isIPv6, type Socket } from 'node:net'
import type { buildConnector } from 'undici'
import { asError } from '../values/failures/system-error.js'
import { describeConnectionFailure } from './connection-failure.js'
import { unbracketed } from './host-and-port.js'
import { ProxyError } from './proxy-error.js'

/** Makes connections through an HTTP proxy. @param limitMs how long it may take to open the way */
export function throughProxy(connect: buildConnector.connector, proxy: URL, limitMs: number): buildConnector.connector {
  return (target, callback) => {
    const isTls = target.protocol === 'https:'
    openTunnel(proxy, target.hostname, target.port || (isTls ? '443' : '80'), limitMs).then(
      httpSocket => (isTls ? connect({ ...target, httpSocket }, callback) : callback(null, httpSocket)),
      (error: unknown) => callback(asError(error), null)
    )
  }
}

/**
 * A connection to `host:port` that an HTTP proxy opens (RFC 9110, section 9.3.6).
 * @throws {ProxyError}
 */
export function openTunnel(proxy: URL, host: string, port: string, limitMs: number): Promise<Socket> {
  const path = `${isIPv6(host) ? `[${host}]` : host}:${port}`
  const name = `the proxy ${proxy.protocol}//${proxy.host}`
  const send = proxy.protocol === 'https:' ? tlsRequest : plainRequest
  return new Promise((resolve, reject) => {
    const outgoing = send({
      method: 'CONNECT',
      host: unbracketed(proxy.hostname),
      port: proxy.port,
      path,
      headers: { host: path, ...credentials(proxy) },
      agent: false
    })
    const timer = setTimeout(() => outgoing.destroy(new Error(`it was silent for ${limitMs} ms`)), limitMs)
    outgoing.once('connect', (answer, socket: Socket, head: Buffer) => {
      clearTimeout(timer)
      const status = answer.statusCode ?? 0
      if (status >= 200 && status < 300) {
        socket.unshift(head)
        resolve(socket)
        return
      }
      socket.destroy()
      reject(new ProxyError(`${name} refuses to open a connection to ${path} (${status})`, status))
    })
    outgoing.once('response', response => {
      response.destroy() // no answer to CONNECT at all
      outgoing.destroy(new Error('it is no HTTP proxy'))
    })
    outgoing.once('error', cause => {
      clearTimeout(timer)
      // no `cause`: it would be told as the neighbour's own
      reject(new ProxyError(`${name}: ${describeConnectionFailure(cause)}`))
    })
    outgoing.end()
  })
}

function credentials({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {}
  const text = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { 'proxy-authorization': `Basic ${Buffer.from(text, 'utf8').toString('base64')}` }
}
