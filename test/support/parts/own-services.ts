import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { ServiceConfig } from '../../../src/config/services/service-config.js'
import { ServiceKeys } from '../../../src/services/keys/service-keys.js'
import { OwnServices } from '../../../src/services/own/own-services.js'
import { formatOpening } from '../../../src/services/streams/open-line.js'
import { StreamKinds } from '../../../src/services/streams/stream-kinds.js'
import type { Logger } from '../../../src/values/logging/logger.js'
import { eventually } from '../eventually.js'
import { RawEnd } from './raw-services.js'
import { connectionPair, listenTo } from './stream-pairs.js'

/** A `[[service]]` with nothing but what it needs. */
export function serviceConfig(facts: Partial<ServiceConfig> & Pick<ServiceConfig, 'url'>): ServiceConfig {
  return {
    key: 'builds',
    type: 'http',
    protocol: 'http/1.1',
    annotations: {},
    keepsHost: false,
    responseTimeoutMs: undefined,
    caFile: undefined,
    isInsecure: false,
    cluster: undefined,
    aws: undefined,
    isOpsmx: false,
    credentials: undefined,
    ...facts
  }
}

/** A logger that keeps all lines as JSON. */
export function keptLog(): { readonly logger: Logger; readonly lines: string[] } {
  const lines: string[] = []
  const line = (level: string) => (details: object, message?: string) =>
    void lines.push(JSON.stringify({ level, details, message }))
  const logger = { level: 'trace', info: line('info'), warn: line('warn'), error: line('error'), debug: line('debug') }
  return { logger: logger as unknown as Logger, lines }
}

/** A folder of its own, removed after the test. */
export async function ownFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'services-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** The services of one process behind a stream connection, and a service whose bytes the test writes. */
export async function startOwnServices(t: TestContext) {
  const accepted: RawEnd[] = []
  const server = createServer({ allowHalfOpen: true }, socket => {
    accepted.push(new RawEnd(socket))
    t.after(() => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { logger, lines } = keptLog()
  const keys = new ServiceKeys()
  const own = new OwnServices({ sealing: undefined, selfId: 'node-1', keys, logger })
  t.after(() => own.close())
  const pair = await connectionPair(t)
  pair.take(new StreamKinds('node-1').on('http', own.take).take)
  return {
    own,
    keys,
    lines,
    /** All bytes that went upward. */
    sent: pair.sentUp,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    accepted,
    /** The next connection to the service. */
    next: () => eventually('a connection to the service', () => accepted.shift()),
    /** Asks as the relay above does. @param lines of the head, without those that end it */
    open(head: readonly string[], facts: Readonly<Record<string, unknown>> = {}) {
      const line = { kind: 'http', key: 'builds', base: '/v1/relay/builds', origin: 'http://relay', body: 'none' }
      const bytes = Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1')
      const stream = pair.upper.open(formatOpening({ ...line, ...facts }, bytes))
      const received = listenTo(stream)
      if (facts.body === undefined) stream.end()
      return { stream, received }
    }
  }
}
