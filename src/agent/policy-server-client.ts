import type { AgentConfig } from '../config/agent/agent-config.js'
import type { LinkToUpper } from '../hops/hop.js'
import { identityCheck } from '../hops/peers/peer-identity.js'
import type { Revocations } from '../keys/certificates/revocations.js'
import { LINK_SECRET_HEADER } from '../network/header-names.js'
import { httpProxyFor } from '../network/http-proxy.js'
import { throughProxy } from '../network/proxy-tunnel.js'
import { createRelayClient, type RelayClient } from '../relay-client/relay-client.js'
import { addressOf, readPolicyServerFiles } from './policy-server-endpoint.js'

const TUNNEL_LIMIT_MS = 10_000

/**
 * The policy server's API, by HTTPS of our own: files are asked for, where a link takes orders. It goes through the
 * same proxy as the link, and shows the link's secret. Closed by the caller.
 */
export async function connectPolicyServer(
  config: AgentConfig,
  link: LinkToUpper,
  revocations: Revocations
): Promise<RelayClient> {
  const { ca, pins, cert, key } = await readPolicyServerFiles(config)
  const { host, nodeId } = config.upstream
  const server = `https://${addressOf(config)}`
  const proxy = httpProxyFor(server)
  return createRelayClient({
    server,
    names: { server: 'upstream.host', ca: 'upstream.ca_file', pin: 'upstream.server_certificate_file' },
    token: undefined,
    tls: {
      ca: pins === undefined ? ca : undefined,
      cert,
      key,
      pin: pins,
      checkServerIdentity: identityCheck(host, nodeId),
      revocations
    },
    ...(proxy === undefined ? {} : { through: connect => throughProxy(connect, proxy, TUNNEL_LIMIT_MS) }),
    headers: () => {
      const secret = link.secretFor(server)
      return secret === undefined ? {} : { [LINK_SECRET_HEADER]: secret }
    }
  })
}
