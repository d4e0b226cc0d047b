import { X509Certificate } from 'node:crypto'
import type { AgentConfig } from '../config/agent/agent-config.js'
import { readTextFileSync } from '../file-system/files/text-file.js'
import type { LinkToUpper } from '../hops/hop.js'
import type { Revocations } from '../keys/certificates/revocations.js'
import { answerFromJson } from '../membership/join-form.js'
import { CertificateRenewal } from '../membership/member/certificate-renewal.js'
import type { JoinAnswer } from '../membership/member-types.js'
import { FORM } from '../network/header-names.js'
import type { RelayClient } from '../relay-client/relay-client.js'
import type { Logger } from '../values/logging/logger.js'
import { isoTime } from '../values/time/iso-time.js'
import { connectPolicyServer } from './policy-server-client.js'

/** Renews the agent's certificate, if it came from the root of the tree. Links read it from its file as they open. */
export function keepCertificateRenewed(
  config: AgentConfig,
  link: LinkToUpper,
  revocations: Revocations,
  logger: Logger
): CertificateRenewal {
  const { certificateFile, keyFile, upstream } = config
  return new CertificateRenewal({
    certificateFile,
    keyFile,
    caFiles: () => (upstream.caFile === undefined ? [] : [upstream.caFile]),
    renew: async (request, signal) => renew(await connectPolicyServer(config, link, revocations), request, signal),
    logger
  })
}

/** When it ends, as it is shown; empty while its file cannot be read. */
export function certificateEnd(certificateFile: string): { readonly certificate_ends_at?: string } {
  try {
    const { validTo } = new X509Certificate(readTextFileSync(certificateFile))
    return { certificate_ends_at: isoTime(Date.parse(validTo)) }
  } catch {
    return {} // the renewal and the link tell of such a file
  }
}

/** @param client is closed */
async function renew(client: RelayClient, request: Buffer, signal: AbortSignal): Promise<JoinAnswer> {
  try {
    const value = await client.json({
      method: 'POST',
      path: 'v1/join/renew',
      headers: { 'content-type': FORM },
      body: new URLSearchParams({ request: request.toString('base64url') }).toString(),
      signal
    })
    const answer = answerFromJson(value)
    if (answer !== undefined) return answer
    throw new Error('the policy server did not answer with a certificate')
  } finally {
    await client.close()
  }
}
