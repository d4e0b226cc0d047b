import { createHash, X509Certificate } from 'node:crypto'
import type { ConnectionOptions } from 'node:tls'
import type { AgentConfig } from '../config/agent/agent-config.js'
import { readRegularFile } from '../file-exchange/places/regular-file.js'
import { identityCheck } from '../hops/peer-identity.js'
import type { HandshakeOptions } from '../links/lower/lower-link.js'
import type { Upper } from '../links/lower/open-web-socket.js'
import { readCredentials } from '../links/wire/credentials.js'
import { VERSION } from '../process/version.js'
import { whyNotRead } from '../values/failures/file-failure.js'
import { withoutByteOrderMark } from '../values/files/byte-order-mark.js'
import { certificateBlocks } from '../values/keys/pem.js'

/** What an agent has to do with its policy server's and its own certificate, read anew each time. */
export interface PolicyServerFiles {
  /** PEM of the certificates that are trusted; undefined: the system's. */
  readonly ca: string | undefined
  /** SHA-256 of those of which one has to be presented, lower-case hex; undefined: whoever `ca` issued one for. */
  readonly pins: readonly string[] | undefined
  /** PEM. */
  readonly cert: string
  readonly key: string
}

/** @throws {Error} naming the file and the setting, when one cannot be read */
export async function readPolicyServerFiles(config: AgentConfig): Promise<PolicyServerFiles> {
  const { serverCertificateFile, caFile } = config.upstream
  const own = {
    cert: await readText(config.certificateFile, 'certificate_file'),
    key: await readText(config.keyFile, 'key_file')
  }
  if (serverCertificateFile === undefined) {
    return {
      ...own,
      ca: caFile === undefined ? undefined : await readText(caFile, 'upstream.ca_file'),
      pins: undefined
    }
  }
  const pem = await readText(serverCertificateFile, 'upstream.server_certificate_file')
  const blocks = certificateBlocks(pem)
  if (blocks.length === 0) {
    throw new Error(`upstream.server_certificate_file: ${serverCertificateFile} holds no certificate in PEM form`)
  }
  return { ...own, ca: pem, pins: blocks.map(fingerprint) }
}

/** The policy server's address and how it proves who it is. */
export async function upperOf(config: AgentConfig): Promise<Upper> {
  const { ca, pins, cert, key } = await readPolicyServerFiles(config)
  const { host, nodeId, tlsCertificate } = config.upstream
  // The link itself says who this is: shown in TLS as well, it takes the policy server time and 5 KB for each link.
  const tls: ConnectionOptions = { ...(tlsCertificate ? { cert, key } : {}), ...(ca === undefined ? {} : { ca }) }
  // Through a proxy, TLS itself is not told an address.
  const named = { ...tls, checkServerIdentity: identityCheck(host, nodeId) }
  const pinned = { ...tls, allowPartialTrustChain: true, checkServerIdentity: () => undefined }
  return {
    url: `wss://${addressOf(config)}`,
    tls: pins === undefined ? named : pinned,
    pins: pins === undefined ? undefined : new Set(pins)
  }
}

export async function handshakeOf(config: AgentConfig): Promise<HandshakeOptions> {
  return { credentials: readCredentials(await readPolicyServerFiles(config)), program: VERSION }
}

/** `host:port`, for a URL. */
export function addressOf({ upstream: { host, port } }: AgentConfig): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

function fingerprint(pem: string): string {
  return createHash('sha256').update(new X509Certificate(pem).raw).digest('hex')
}

async function readText(file: string, setting: string): Promise<string> {
  try {
    return withoutByteOrderMark(await readRegularFile(file))
  } catch (error) {
    throw new Error(`${setting} ${file} cannot be read: ${whyNotRead(error)}`, { cause: error })
  }
}
