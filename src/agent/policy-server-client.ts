import { createRelayClient, type RelayClient } from '../cli/relay-client.js'
import type { AgentConfig } from '../config/agent-config.js'
import { addressOf, readPolicyServerFiles } from './upper.js'

/** The policy server's API, by HTTPS of our own: files are asked for, where a link takes orders. Closed by the caller. */
export async function connectPolicyServer(config: AgentConfig): Promise<RelayClient> {
  const { ca, pins, cert, key } = await readPolicyServerFiles(config)
  return createRelayClient({
    server: `https://${addressOf(config)}`,
    token: undefined,
    tls: { ca: pins === undefined ? ca : undefined, cert, key, pin: pins }
  })
}
