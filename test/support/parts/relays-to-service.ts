import type { TestContext } from 'node:test'
import { startClient } from '../../../src/client-proxy/start-client.js'
import type { ServiceProtocol } from '../../../src/config/services/service-protocol.js'
import type { CallerLimits } from '../../../src/services/entry/caller-connection.js'
import { silentLogger } from '../../../src/values/logging/logger.js'
import { eventually } from '../eventually.js'
import { startRelayChain } from './relay-chain.js'
import { startEntryOf } from './service-entries.js'

export interface RelaysToServiceOptions {
  /** Relays between caller and client. @default 1 */
  readonly levels?: number
  readonly protocol?: ServiceProtocol
  /** The certificates that the client trusts besides that of its relay. */
  readonly ca?: readonly string[]
  /** The time limits of callers' connections. */
  readonly limits?: CallerLimits | undefined
}

/**
 * Starts relays, and at the last of them a client under the key `git`, for the service at a URL.
 * @returns the port at which callers ask the first one
 */
export async function startRelaysTo(
  t: TestContext,
  baseUrl: string,
  { levels = 1, protocol = 'http/1.1', ca = [], limits }: RelaysToServiceOptions = {}
): Promise<number> {
  const relays = await startRelayChain(t, levels)
  const [first, last] = [relays[0], relays.at(-1)]
  if (first === undefined || last === undefined) throw new RangeError('there has to be a relay')
  const { keys } = first.parts
  const { upper } = last
  const port = await startEntryOf(t, keys, limits)
  const client = await startClient({
    serverUrl: upper.url,
    baseUrl: new URL(baseUrl),
    protocol,
    clientKey: 'git',
    clientId: 'one',
    secrets: { token: 'secret', ca: [upper.certificate.certificatePem, ...ca] },
    lostLogLines: () => 0,
    healthListen: { host: '127.0.0.1', port: 0 },
    logger: silentLogger
  })
  t.after(() => client.stop())
  await eventually('the key at the first relay', () => keys.has('git'))
  return port
}
