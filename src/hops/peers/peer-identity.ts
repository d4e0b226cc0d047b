import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import { readIdentity } from '../../tree/import/certificate-identity.js'
import { WrongCertificateError } from '../connection-errors.js'

/**
 * Checks for TLS whether a certificate, which an issuer that we trust vouches for, is one of the host and of the node
 * that are meant. Names can be had twice, by a mistake in DNS or in a list; ids cannot.
 * @param nodeId undefined where it is not known which node that is
 * @returns for `checkServerIdentity`. It is not asked for the host name that a connection was opened to, since that
 *   may be the address of another listener
 */
export function identityCheck(
  hostname: string,
  nodeId: string | undefined
): (asked: string, certificate: PeerCertificate) => Error | undefined {
  return (_, certificate) => checkServerIdentity(hostname, certificate) ?? wrongNode(certificate.raw, nodeId)
}

/**
 * The CA of a tree puts the node's id in each certificate that it issues. A certificate without one comes from elsewhere
 * (a web server in front of a relay has one) and is known by its name alone; one that names a node is that node's.
 * @param certificate DER
 */
export function wrongNode(certificate: Buffer, nodeId: string | undefined): Error | undefined {
  if (nodeId === undefined) return undefined
  const ids = nodesIn(certificate)
  if (ids.length === 0 || (ids.length === 1 && ids[0] === nodeId)) return undefined
  return new WrongCertificateError(
    `it presents a certificate of the node ${JSON.stringify(ids.join(', '))}, not of ${nodeId}`
  )
}

/** @param certificate DER @returns the ids of the nodes that it names: none, one, or what cannot be one */
export function nodesIn(certificate: Buffer): readonly string[] {
  try {
    return readIdentity(certificate).userIds
  } catch {
    return [''] // no form that we know: nobody's
  }
}
