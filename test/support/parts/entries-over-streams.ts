import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import type { TestContext } from 'node:test'
import type { FramedStream } from '../../../src/links/streams/framed-stream.js'
import type { CallerLimits } from '../../../src/services/entry/caller-connection.js'
import { CallerSlots } from '../../../src/services/entry/caller-slots.js'
import { destinationByPath } from '../../../src/services/entry/path-entry.js'
import type { ServiceEntry } from '../../../src/services/entry/service-entry.js'
import { createPlainServiceListener, ListenerConnections } from '../../../src/services/entry/service-listener.js'
import { eventually } from '../eventually.js'
import { RawEnd } from './raw-services.js'
import { unboundTraffic } from './service-entries.js'
import { connectionPair, type Received, type StreamPair } from './stream-pairs.js'

export interface EntryOverStreams {
  readonly port: number
  /** Opens a connection as a caller. */
  call(): RawEnd
  /** The next stream that the entry opened, in order: the test answers in place of the side below. */
  asked(): Promise<{ readonly stream: FramedStream; readonly payload: string; readonly received: Received }>
  readonly pair: StreamPair
}

export interface EntryOptions {
  readonly limits?: Partial<CallerLimits>
  readonly entry?: Partial<ServiceEntry>
}

/** A listener for callers whose requests go over the streams of one connection, to a side that the test plays. */
export async function startEntryOverStreams(t: TestContext, options: EntryOptions = {}): Promise<EntryOverStreams> {
  const pair = await connectionPair(t)
  const share = { hasRoom: () => true, take: () => undefined, giveBack: () => undefined }
  const connections = new ListenerConnections(
    {
      admit: destinationByPath,
      open: (_key, payload) => pair.upper.open(payload),
      traffic: unboundTraffic(),
      ...options.entry
    },
    { headMs: 10_000, idleMs: 10_000, ...options.limits },
    new CallerSlots(share),
    { streams: new CallerSlots(share), onFlood: () => undefined }
  )
  const server = createPlainServiceListener(connections, true)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    connections.cut()
  })
  const { port } = server.address() as AddressInfo
  let given = 0
  return {
    port,
    call() {
      const end = new RawEnd(connect({ port, host: '127.0.0.1', allowHalfOpen: true }))
      t.after(() => end.socket.destroy())
      return end
    },
    async asked() {
      const at = given
      given += 1
      return eventually('a request on a stream', () => pair.taken[at])
    },
    pair
  }
}

/** The payload of an answer's head, or of anything like it. @param body 0: none, 1: with a length, 2: in chunks, 3: raw */
export function answerHead(body: 0 | 1 | 2 | 3, head: string): Buffer {
  return Buffer.concat([Buffer.of(0x41, body), Buffer.from(head, 'latin1')])
}

export const OK_HEAD = (bytes: number) => answerHead(1, `HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n`)
