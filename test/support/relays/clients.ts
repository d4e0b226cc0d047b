import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { ServiceProtocol } from '../../../src/config/services/service-protocol.js'
import { startTreeline } from '../machine/treeline-command.js'
import type { RunningTree } from './relay-tree.js'

export const CLIENT_TOKEN = 'a-token-of-clients-that-is-long-enough'

/** The line of `tokens.clients_file` that lets clients register under a key with {@link CLIENT_TOKEN}. */
export function clientTokenLine(key: string): string {
  return `register:${key} ${createHash('sha256').update(CLIENT_TOKEN).digest('hex')}\n`
}

export interface ClientOfTree {
  readonly relay: string
  readonly key: string
  readonly id: string
  readonly baseUrl?: string
  /** The port of a proxy on loopback in front of the relay. */
  readonly throughPort?: number
  /** @default 'http/1.1' */
  readonly protocol?: ServiceProtocol
  /** The certificate of the service, where it has one of its own. */
  readonly serviceCa?: string
}

/** Starts `treeline client` at a relay of a tree whose `tokens.clients_file` has its key. Killed after the test. */
export async function startClientOf(
  t: TestContext,
  tree: RunningTree,
  {
    relay: relayId,
    key,
    id,
    baseUrl = 'http://127.0.0.1:1',
    throughPort,
    protocol = 'http/1.1',
    serviceCa = ''
  }: ClientOfTree
) {
  const relay = tree.relay(relayId)
  const ca = join(tree.folder, `ca-of-${relayId}-${key}-${id}.pem`)
  await writeFile(ca, `${relay.certificate.certificatePem}\n${serviceCa}`)
  const options = ['--client-key', key, '--client-id', id, '--protocol', protocol, '--health-listen', '127.0.0.1:0']
  const running = startTreeline(t, ['client', ...options], {
    TREELINE_SERVER_URL: throughPort === undefined ? relay.url : `https://127.0.0.1:${throughPort}`,
    TREELINE_BASE_URL: baseUrl,
    TREELINE_TOKEN: CLIENT_TOKEN,
    SSL_CERT_FILE: ca
  })
  await running.printed('"msg":"link opened"')
  return running
}
