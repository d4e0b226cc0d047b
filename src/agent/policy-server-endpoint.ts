import type { ConnectionOptions } from 'node:tls'
import type { AgentConfig } from '../config/agent/agent-config.js'
import { readConfiguredText } from '../file-system/files/text-file.js'
import { identityCheck } from '../hops/peers/peer-identity.js'
import type { HandshakeOptions } from '../links/lower/lower-link.js'
import type { Upper } from '../links/lower/upper.js'
import { readCredentials } from '../links/wire/credentials.js'
import { type PolicyServerTrust, readPolicyServerTrust } from '../membership/member/policy-server-trust.js'
import { hostAndPort } from '../network/host-and-port.js'
import { VERSION } from '../process/version.js'

/** The certificates by which an agent and its policy server know each other, read anew each time. PEM. */
export interface PolicyServerFiles extends PolicyServerTrust {
  readonly cert: string
  readonly key: string
}

/** @throws {Error} naming the file and the setting, when one cannot be read */
export async function readPolicyServerFiles(config: AgentConfig): Promise<PolicyServerFiles> {
  const cert = await readConfiguredText('certificate_file', config.certificateFile)
  const key = await readConfiguredText('key_file', config.keyFile)
  return { cert, key, ...(await readPolicyServerTrust(config)) }
}

/** The policy server's address and how it proves who it is. */
export async function endpointOf(config: AgentConfig): Promise<Upper> {
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
  const names = { cert: `certificate_file ${config.certificateFile}`, key: `key_file ${config.keyFile}` }
  return { credentials: readCredentials(await readPolicyServerFiles(config), names), program: VERSION }
}

/** `host:port`, for a URL. */
export function addressOf({ upstream: { host, port } }: AgentConfig): string {
  return hostAndPort(host, port)
}
