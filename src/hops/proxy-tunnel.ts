import { request as plainRequest } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { isIPv6, type Socket } from 'node:net'
import type { buildConnector } from 'undici'
import { describeConnectionFailure } from '../values/network/connection-failure.js'

/** Makes connections through an HTTP proxy. @param limitMs how long it may take to open the way */
export function throughProxy(connect: buildConnector.connector, proxy: URL, limitMs: number): buildConnector.connector {
  return (target, callback) => {
    openTunnel(proxy, target.hostname, target.port || '443', limitMs).then(
      httpSocket => connect({ ...target, httpSocket }, callback),
      (error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), null)
    )
  }
}

/**
 * A connection to `host:port` that an HTTP proxy opens (RFC 9110, section 9.3.6).
 * @throws {Error} whose message is for a user, without the proxy's credentials
 */
export function openTunnel(proxy: URL, host: string, port: string, limitMs: number): Promise<Socket> {
  const path = `${isIPv6(host) ? `[${host}]` : host}:${port}`
  const name = `the proxy ${proxy.protocol}//${proxy.host}`
  const send = proxy.protocol === 'https:' ? tlsRequest : plainRequest
  return new Promise((resolve, reject) => {
    const outgoing = send({
      method: 'CONNECT',
      host: proxy.hostname.replace(/^\[|\]$/g, ''),
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
      reject(new Error(`${name} refuses to open a connection to ${path} (${status})`))
    })
    outgoing.once('response', response => {
      response.destroy() // no answer to CONNECT at all
      outgoing.destroy(new Error('it is no HTTP proxy'))
    })
    outgoing.once('error', cause => {
      clearTimeout(timer)
      // no `cause`: it would be told as the neighbour's own
      reject(new Error(`${name}: ${describeConnectionFailure(cause)}`))
    })
    outgoing.end()
  })
}

function credentials({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {}
  const text = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { 'proxy-authorization': `Basic ${Buffer.from(text, 'utf8').toString('base64')}` }
}
