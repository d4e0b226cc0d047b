import { createPublicKey } from 'node:crypto'
import { RelayError } from '../../values/failures/relay-error.js'
import type { Logger } from '../../values/logging/logger.js'
import { isoTime } from '../../values/time/iso-time.js'
import { memberCertificate } from '../certificates.js'
import type { MemberCertificate } from '../members.js'
import type { CallerCertificateRequest, CertificateAuthority } from './certificate-authority.js'

/** Issues a certificate to call services with. */
export type IssueToCaller = (
  request: Omit<CallerCertificateRequest, 'nowMs'>
) => Promise<Pick<MemberCertificate, 'der' | 'fingerprint' | 'notAfterMs'>>

/** Issues certificates to callers. None is kept: its fingerprint revokes one. @throws {RelayError} INVALID_INPUT for another kind of key */
export function createCallerIssuing(
  authority: Pick<CertificateAuthority, 'issueForCaller'>,
  logger: Pick<Logger, 'info'>,
  now: () => number
): IssueToCaller {
  return async request => {
    checkKey(request.publicKey)
    const certificate = memberCertificate('', await authority.issueForCaller({ ...request, nowMs: now() }))
    const id = certificate.fingerprint.toString('hex')
    const until = isoTime(certificate.notAfterMs)
    logger.info({ fingerprint: id, keys: request.keys, until }, 'certificate of a caller issued')
    return certificate
  }
}

/** @throws {RelayError} INVALID_INPUT */
function checkKey(spki: Buffer): void {
  try {
    const { asymmetricKeyDetails } = createPublicKey({ key: spki, format: 'der', type: 'spki' })
    if (asymmetricKeyDetails?.namedCurve === 'prime256v1') return
  } catch {
    // refused below
  }
  throw new RelayError('INVALID_INPUT', 'the public key is not EC on P-256')
}
