import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { makeCertificate } from './openssl-certificate.js'

/**
 * A server in place of the API of a cluster: it lets in who shows a known token, the password of `anna`, or the client
 * certificate, and tells as whom.
 * @param folder for the files of its certificate and that of a user
 */
export async function startKubernetesApi(t: TestContext, folder: string) {
  const own = await makeCertificate(join(folder, 'api'))
  const user = await makeCertificate(join(folder, 'user'))
  const tokens = new Set(['token-1'])
  const requests: IncomingMessage[] = []
  const server = createServer({ cert: own.cert, key: own.key, requestCert: true, rejectUnauthorized: false })
  let connections = 0
  server.on('secureConnection', () => {
    connections += 1
  })
  server.on('request', (request, response) => {
    requests.push(request)
    const who = whoAsks(request)
    if (who === undefined) response.writeHead(401).end('Unauthorized')
    else if (request.url?.endsWith('?watch=1') === true) response.writeHead(200).write('{"type":"ADDED"}\n')
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ who, url: request.url }))
  })

  function whoAsks({ headers, socket }: IncomingMessage): string | undefined {
    const { authorization } = headers
    if (authorization?.startsWith('Bearer ') === true) {
      const token = authorization.slice('Bearer '.length)
      return tokens.has(token) ? token : undefined // a wrong one is not made good by a certificate
    }
    if (authorization === `Basic ${Buffer.from('anna:secret').toString('base64')}`) return 'anna'
    return own.fingerprintOf(socket) === user.fingerprint ? 'certificate' : undefined
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { port, url: `https://localhost:${port}`, own, user, tokens, requests, connections: () => connections }
}
