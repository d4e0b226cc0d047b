import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import { identityCheck } from './peer-identity.js'

/** The proof that a neighbour must present for us to speak to it (contract, `peer_authentication`). */
export type PeerTrust =
  | { readonly mode: 'cert_pinning'; readonly pins: readonly Buffer[]; readonly pinsFile: string }
  | {
      readonly mode: 'cert_validation'
      readonly ca: string | undefined
      readonly hostname: string
      /** Undefined where it is not known. */
      readonly nodeId: string | undefined
    }
  | { readonly mode: 'dangerous_none' }

/** Our own certificate and key, PEM, presented to whoever asks for it. */
export interface ClientCertificate {
  readonly cert: string
  readonly key: string
}

type Verification = Pick<
  ConnectionOptions,
  'ca' | 'allowPartialTrustChain' | 'checkServerIdentity' | 'rejectUnauthorized' | 'servername'
>

/** The checks that TLS itself makes. For `cert_pinning` the leaf has to be compared with the pins as well. */
export function verification(trust: PeerTrust): Verification {
  switch (trust.mode) {
    case 'cert_pinning':
      return {
        ca: trust.pins.map(der => new X509Certificate(der).toString()),
        allowPartialTrustChain: true,
        checkServerIdentity: () => undefined
      }
    case 'cert_validation':
      return {
        ...(trust.ca === undefined ? {} : { ca: trust.ca }),
        ...(isIP(trust.hostname) === 0 ? { servername: trust.hostname } : {}),
        // The node's name, wherever it is reached.
        checkServerIdentity: identityCheck(trust.hostname, trust.nodeId)
      }
    case 'dangerous_none':
      return { rejectUnauthorized: false }
  }
}
