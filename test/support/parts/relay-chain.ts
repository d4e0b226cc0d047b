import type { TestContext } from 'node:test'
import { makeAgentCertificate } from '../../../demo/pki.js'
import { Dialer } from '../../../src/links/lower/dialer.js'
import { LowerLink } from '../../../src/links/lower/lower-link.js'
import { createLinkAdministration } from '../../../src/links/upper/link-administration.js'
import { readCredentials } from '../../../src/links/wire/credentials.js'
import { createServiceParts, type ServiceParts } from '../../../src/relay/services/service-parts.js'
import { silentLogger } from '../../../src/values/logging/logger.js'
import { startUpperSide, type UpperSide } from './links.js'

/** A relay of a chain, as far as services go. */
export interface ChainedRelay {
  /** Takes links: of the relay below, or of clients, who need no token. */
  readonly upper: UpperSide
  readonly parts: ServiceParts
}

/**
 * Starts relays in this process. Each but the first holds a link to the one before, and tells it of its services.
 * @param count at least 1
 */
export async function startRelayChain(t: TestContext, count: number): Promise<readonly ChainedRelay[]> {
  const relays: ChainedRelay[] = []
  while (relays.length < count) relays.push(await startRelay(t, `relay-${relays.length}`, relays.at(-1)))
  return relays
}

async function startRelay(t: TestContext, selfId: string, above: ChainedRelay | undefined): Promise<ChainedRelay> {
  const upper = await startUpperSide(t, new Map(), {
    admit: () => ({ owner: { kind: 'relay', id: `${selfId}-below` } }),
    admitClient: ({ key, id }) => ({ owner: { kind: 'client', id: key, clientId: id } })
  })
  const { registry } = upper
  const logger = silentLogger as never
  const parts = createServiceParts({
    selfId,
    config: () => ({ services: { agentKeys: new Map([['*', ['*']]]), sealHeaders: [], sealKeyFile: undefined } }),
    registry,
    links: createLinkAdministration(registry),
    logger
  })
  if (above !== undefined) await holdLink(t, selfId, parts, above.upper)
  return { upper, parts }
}

async function holdLink(t: TestContext, nodeId: string, { kinds }: ServiceParts, upper: UpperSide): Promise<void> {
  const own = await makeAgentCertificate({ nodeId, hostname: '127.0.0.1' })
  const end = new LowerLink({
    routing: (_request, response) => void response.writeHead(404).end(),
    openLane: (linkId, purpose) => dialer.openLane(linkId, purpose),
    takeStream: kinds.take
  })
  const { certificatePem, fingerprint } = upper.certificate
  const dialer: Dialer = new Dialer({
    upper: async () => ({
      url: upper.url,
      tls: { ca: [certificatePem], allowPartialTrustChain: true, checkServerIdentity: () => undefined } as object,
      pins: new Set([fingerprint])
    }),
    handshake: async () => ({
      credentials: readCredentials({ cert: own.certificatePem, key: own.privateKeyPem }),
      program: '0.1.0',
      hasServices: true
    }),
    end,
    logger: silentLogger
  })
  t.after(async () => {
    await dialer.stop()
    end.close()
  })
  dialer.start()
}
