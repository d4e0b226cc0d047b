import { formatCertificate } from '../../../keys/certificates/pem.js'
import { MAX_SIGNED_LIFETIME_MS, MAX_SIGNED_SCOPES } from '../../../keys/tokens/signed-token.js'
import { parseTokenScope } from '../../../keys/tokens/token-scope.js'
import { FORM } from '../../../network/header-names.js'
import { RelayError } from '../../../values/failures/relay-error.js'
import { isoTime } from '../../../values/time/iso-time.js'
import { type Routes, Type } from '../../schema.js'
import type { Services } from '../../services.js'

/** `POST v1/caller-certificates`, at the root: certificates to call services with. */
export const callerCertificateRoutes: Routes<{ services: Pick<Services, 'issueToCaller'> }> = async (
  app,
  { services }
) => {
  app.post(
    '/v1/caller-certificates',
    {
      config: { access: 'system' },
      schema: {
        tags: ['membership'],
        consumes: [FORM],
        summary: 'Issue a certificate to call services with',
        body: Type.Object({
          scope: Type.String({ description: 'call:<key>, several with blanks between them' }),
          expires_in_ms: Type.Integer({ minimum: 1_000, maximum: MAX_SIGNED_LIFETIME_MS }),
          public_key: Type.String({ description: 'EC P-256, SubjectPublicKeyInfo, DER, base64url' })
        }),
        response: {
          200: Type.Object({
            id: Type.String({ description: 'SHA-256 of the certificate in hex, which revokes it' }),
            certificate: Type.String({ description: 'PEM' }),
            expires_at: Type.Time()
          })
        }
      }
    },
    async ({ body }) => {
      if (services.issueToCaller === undefined) {
        throw new RelayError('DISABLED', 'certificates are issued at the root, with tree.source = "members": ask there')
      }
      const keys = readKeys(body.scope)
      const publicKey = Buffer.from(body.public_key, 'base64url')
      const asked = { keys, publicKey, lifetimeMs: body.expires_in_ms }
      const { der, fingerprint, notAfterMs } = await services.issueToCaller(asked)
      return {
        id: fingerprint.toString('hex'),
        certificate: formatCertificate(der),
        expires_at: isoTime(notAfterMs)
      }
    }
  )
}

/** @throws {RelayError} INVALID_INPUT for anything but scopes to call services */
function readKeys(text: string): string[] {
  const texts = [...new Set(text.split(' ').filter(one => one !== ''))]
  if (texts.length === 0 || texts.length > MAX_SIGNED_SCOPES) {
    throw new RelayError('INVALID_INPUT', `a certificate is for 1 to ${MAX_SIGNED_SCOPES} keys, not ${texts.length}`)
  }
  return texts.map(one => {
    const scope = parseTokenScope(one)
    if (scope?.kind === 'call') return scope.key
    const shown = JSON.stringify(one.slice(0, 200))
    throw new RelayError('INVALID_INPUT', `invalid scope of a certificate: ${shown}; it is for call:<key> alone`)
  })
}
