import { X509Certificate } from 'node:crypto'
import { purposeOf } from '../../keys/certificates/certificate-purpose.js'
import { fingerprint } from '../../keys/certificates/fingerprint.js'
import { certificateBlocks } from '../../keys/certificates/pem.js'
import { readIdentity } from '../../tree/import/certificate-identity.js'
import { readIfThere } from '../setup/edit-files.js'

// A member gets certificates from the root by way of relays, each of which may lie: the signature of the CA alone counts.

/** The owner and the purpose that a certificate has to name. */
export interface CertificateOwner {
  readonly id: string
  readonly purpose: 'relay' | 'node'
}

/**
 * Reads the certificates of the CAs that this machine trusts. A file that is missing or unreadable is left out.
 * @throws {Error} naming the files, when none of them has a certificate
 */
export async function readTreeCas(files: readonly string[]): Promise<readonly X509Certificate[]> {
  const texts = await Promise.all(files.map(file => readIfThere(file).catch(() => undefined)))
  const cas = texts.flatMap(text => certificateBlocks(text ?? '')).flatMap(pem => readCertificate(pem) ?? [])
  if (cas.length > 0) return cas
  throw new Error(`no certificate of the tree's CA can be read: put it into ${[...new Set(files)].join(' or ')}`)
}

/** @returns undefined for a text that is no certificate */
export function readCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem)
  } catch {
    return undefined
  }
}

/** @returns the reason why a certificate is not one that one of these CAs issued to `owner`; undefined: it is */
export function whyNotIssuedTo(
  owner: CertificateOwner,
  certificate: X509Certificate,
  cas: readonly X509Certificate[]
): string | undefined {
  // first, since nothing else in it can be believed before
  if (!cas.some(ca => isIssuedBy(certificate, ca))) return 'the CA of this tree did not issue it'
  const ids = readIdentity(certificate.raw).userIds
  if (ids.length !== 1 || ids[0] !== owner.id) return `it is for ${JSON.stringify(ids.join(', '))}, not for ${owner.id}`
  const purpose = purposeOf(certificate.raw)
  return purpose === owner.purpose
    ? undefined
    : `it is for a ${purpose ?? 'machine of another kind'}, not a ${owner.purpose}`
}

/** The certificates given for a policy server: the good ones as PEM, and for each other one the reason. */
export interface SortedCertificates {
  readonly accepted: string
  readonly refused: readonly { readonly fingerprint: string | undefined; readonly reason: string }[]
}

/** Sorts the certificates in a text that is to have those of a policy server: valid ones that the CA issued to that relay. */
export function sortPolicyServerCertificates(
  { id, certificates }: { readonly id: string; readonly certificates: string },
  cas: readonly X509Certificate[],
  nowMs: number
): SortedCertificates {
  const refused: { fingerprint: string | undefined; reason: string }[] = []
  let accepted = ''
  for (const pem of certificateBlocks(certificates)) {
    const certificate = readCertificate(pem)
    const reason =
      certificate === undefined
        ? 'it is no certificate'
        : (whyNotIssuedTo({ id, purpose: 'relay' }, certificate, cas) ??
          (Date.parse(certificate.validTo) > nowMs ? undefined : 'it has ended'))
    if (certificate !== undefined && reason === undefined) accepted += certificate.toString()
    else refused.push({ fingerprint: certificate && fingerprint(certificate.raw), reason: reason ?? '' })
  }
  return { accepted, refused }
}

function isIssuedBy(certificate: X509Certificate, ca: X509Certificate): boolean {
  try {
    return certificate.checkIssued(ca) && certificate.verify(ca.publicKey)
  } catch {
    return false // a key or signature of another kind
  }
}
