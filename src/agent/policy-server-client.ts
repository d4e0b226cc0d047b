import { createRelayClient, type RelayClient } from '../cli/relay-client.js'
import type { AgentConfig } from '../config/agent-config.js'
import type { LinkToUpper } from '../tree/hop.js'
import { identityCheck } from '../tree/peer-identity.js'
import { throughProxy } from '../tree/proxy-tunnel.js'
import { LINK_SECRET_HEADER } from '../values/header-names.js'
import { httpProxyFor } from '../values/http-proxy.js'
import { addressOf, readPolicyServerFiles } from './upper.js'

const TUNNEL_LIMIT_MS = 10_000

/**
 * The policy server's API, by HTTPS of our own: files are asked for, where a link takes orders. It goes through the
 * same proxy as the link, and shows the link's secret. Closed by the caller.
 */
export async function connectPolicyServer(config: AgentConfig, link: LinkToUpper): Promise<RelayClient> {
  const { ca, pins, cert, key } = await readPolicyServerFiles(config)
  const { host, nodeId } = config.upstream
  const server = `https://${addressOf(config)}`
  const proxy = httpProxyFor(server)
  return createRelayClient({
    server,
    token: undefined,
    tls: {
      ca: pins === undefined ? ca : undefined,
      cert,
      key,
      pin: pins,
      checkServerIdentity: identityCheck(host, nodeId)
    },
    ...(proxy === undefined ? {} : { through: connect => throughProxy(connect, proxy, TUNNEL_LIMIT_MS) }),
    headers: () => {
      const secret = link.secretFor(server)
      return secret === undefined ? {} : { [LINK_SECRET_HEADER]: secret }
    }
  })
}
