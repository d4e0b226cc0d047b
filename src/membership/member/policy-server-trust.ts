import type { AgentConfig } from '../../config/agent/agent-config.js'
import { readConfiguredText } from '../../file-system/files/text-file.js'
import { readEveryCertificate } from '../../keys/certificates/certificate-pair.js'
import { fingerprint } from '../../keys/certificates/fingerprint.js'

/** The proof of identity that an agent's policy server owes. */
export interface PolicyServerTrust {
  /** PEM of the certificates that are trusted; undefined: the system's. */
  readonly ca: string | undefined
  /** SHA-256 of the certificates of which one has to be shown, lower-case hex; undefined: any that `ca` issued for it. */
  readonly pins: readonly string[] | undefined
}

/**
 * Reads an agent's trust from the files that agent.conf names.
 * @throws {Error} naming the setting and the file when one cannot be used
 */
export async function readPolicyServerTrust({ upstream }: AgentConfig): Promise<PolicyServerTrust> {
  const { serverCertificateFile, caFile } = upstream
  if (serverCertificateFile === undefined) {
    if (caFile === undefined) return { ca: undefined, pins: undefined }
    return { ca: (await readTrustedFile('upstream.ca_file', caFile)).pem, pins: undefined }
  }
  const { pem, certificates } = await readTrustedFile('upstream.server_certificate_file', serverCertificateFile)
  return { ca: pem, pins: certificates.map(({ raw }) => fingerprint(raw)) }
}

async function readTrustedFile(setting: string, path: string) {
  const pem = await readConfiguredText(setting, path)
  return { pem, certificates: readEveryCertificate(pem, `${setting} ${path}`) }
}
