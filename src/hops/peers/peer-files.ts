import type { Config } from '../../config/config.js'
import { readConfiguredText, readTextFile } from '../../file-system/files/text-file.js'
import {
  parseCertificate,
  readCertificatePair,
  readEveryCertificate
} from '../../keys/certificates/certificate-pair.js'
import { certificateBlocks } from '../../keys/certificates/pem.js'
import { whyNotRead } from '../../values/failures/file-failure.js'
import type { ClientCertificate } from './peer-trust.js'

/** The part of the configuration that reaching the neighbours needs. */
export type NeighboursConfig = Pick<Config, 'upstream' | 'neighbours'> & {
  readonly general: Pick<
    Config['general'],
    | 'nodesCertsFile'
    | 'httpsCertificateFile'
    | 'httpsKeyFile'
    | 'httpsPort'
    | 'httpsIdleTimeoutMs'
    | 'connectTimeoutMs'
    | 'peerAuthentication'
    | 'caPath'
  > &
    Partial<Pick<Config['general'], 'responseTimeoutMs'>>
}

/** The contents of the files that the configuration names, as far as connections to neighbours need them. */
export interface PeerFiles {
  readonly clientCertificate: ClientCertificate | undefined
  /** PEM; undefined for the system's own. */
  readonly ca: string | undefined
  /** DER. Empty when none is known; then `upstreamProblem` says why. */
  readonly upstreamPins: readonly Buffer[]
  readonly upstreamProblem: string | undefined
}

/**
 * The policy server's certificate may be missing: then it alone cannot be reached.
 * @throws {Error} naming the file, when our own certificate or the CA file cannot be read or used
 */
export async function readPeerFiles(config: NeighboursConfig): Promise<PeerFiles> {
  const { httpsCertificateFile, httpsKeyFile, caPath, peerAuthentication } = config.general
  const upstream = await readUpstreamPins(config)
  return {
    clientCertificate:
      httpsCertificateFile === undefined || httpsKeyFile === undefined
        ? undefined
        : await readPair(httpsCertificateFile, httpsKeyFile),
    ca: caPath === undefined || peerAuthentication !== 'cert_validation' ? undefined : await readCa(caPath),
    ...upstream
  }
}

async function readCa(caPath: string): Promise<string> {
  const ca = await readConfiguredText('general.ca_path', caPath)
  readEveryCertificate(ca, `general.ca_path ${caPath}`)
  return ca
}

async function readPair(certificateFile: string, keyFile: string): Promise<ClientCertificate> {
  const cert = await readConfiguredText('general.https_certificate_file', certificateFile)
  const key = await readConfiguredText('general.https_key_file', keyFile)
  readCertificatePair(
    { cert, key },
    { cert: `general.https_certificate_file ${certificateFile}`, key: `general.https_key_file ${keyFile}` }
  )
  return { cert, key }
}

async function readUpstreamPins(
  config: NeighboursConfig
): Promise<Pick<PeerFiles, 'upstreamPins' | 'upstreamProblem'>> {
  if (config.upstream === undefined || config.general.peerAuthentication !== 'cert_pinning') {
    return { upstreamPins: [], upstreamProblem: undefined }
  }
  const file = config.upstream.serverCertificateFile
  if (file === undefined) {
    return { upstreamPins: [], upstreamProblem: 'output.upstream.server_certificate_file is not set' }
  }
  try {
    const upstreamPins = certificatesIn(await readTextFile(file), file)
    if (upstreamPins.length > 0) return { upstreamPins, upstreamProblem: undefined }
    return { upstreamPins, upstreamProblem: `no certificate in ${file} (output.upstream.server_certificate_file)` }
  } catch (error) {
    const problem = `cannot read ${file} (output.upstream.server_certificate_file): ${whyNotRead(error)}`
    return { upstreamPins: [], upstreamProblem: problem }
  }
}

function certificatesIn(pem: string, file: string): Buffer[] {
  return certificateBlocks(pem).map(text => parseCertificate(text, `a block of ${file}`).raw)
}
