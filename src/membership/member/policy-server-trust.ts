import type { AgentConfig } from '../../config/agent/agent-config.js'
import { readConfiguredText } from '../../file-system/files/text-file.js'
import { fingerprintOfPem } from '../../keys/certificates/fingerprint.js'
import { certificateBlocks } from '../../keys/certificates/pem.js'

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
    return {
      ca: caFile === undefined ? undefined : await readConfiguredText('upstream.ca_file', caFile),
      pins: undefined
    }
  }
  const setting = 'upstream.server_certificate_file'
  const pem = await readConfiguredText(setting, serverCertificateFile)
  const blocks = certificateBlocks(pem)
  if (blocks.length === 0) throw new Error(`${setting}: ${serverCertificateFile} holds no certificate in PEM form`)
  return { ca: pem, pins: blocks.map(fingerprintOfPem) }
}
