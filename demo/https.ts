import { request } from 'node:https'
import type { TreeMember, TreeRelay } from './relay-tree.js'

/** Asks a relay over TLS as a node does: with the node's certificate, and trusting that relay's alone. */
export function ask(
  relay: TreeRelay,
  as: TreeMember,
  method: string,
  path: string,
  body?: Buffer
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      `${relay.url}/rudder/relay-api/${path}`,
      {
        method,
        ca: relay.certificate.certificatePem,
        allowPartialTrustChain: true,
        checkServerIdentity: () => undefined,
        cert: as.certificate.certificatePem,
        key: as.certificate.privateKeyPem,
        minVersion: 'TLSv1.3',
        headers: body === undefined ? {} : { 'content-length': body.length, 'content-type': 'application/octet-stream' }
      },
      response => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }))
      }
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}
