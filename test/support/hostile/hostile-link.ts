import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { TLSSocket } from 'node:tls'
import { type RawData, WebSocket } from 'ws'
import type { TreeMember, TreeRelay } from '../../../demo/relay-tree.js'
import { fingerprint } from '../../../src/keys/certificates/fingerprint.js'
import {
  answerChallenge,
  type Challenge,
  type ConnectionPurpose,
  type Identity,
  parseChallenge
} from '../../../src/links/wire/challenge.js'
import { readCredentials } from '../../../src/links/wire/credentials.js'
import { REGISTER_PATH } from '../../../src/links/wire/protocol.js'
import { LINK_VERSIONS } from '../../../src/values/protocol-version.js'

/** A WebSocket to the place where a relay takes links, whose messages the test writes itself. */
export interface RawLink {
  readonly socket: WebSocket
  /** SHA-256 of the relay's certificate. */
  readonly seen: string
  /** The next message, as text. */
  next(): Promise<string>
  /** All bytes that came in binary messages. */
  readonly bytes: () => Buffer
  /** Resolves with the close code once it is closed. */
  readonly closed: Promise<number>
  /** Resolves when it has gone out, or the connection has ended. */
  send(data: Buffer | string): Promise<void>
}

/** Opens one; it is closed with the test. @param url `https://host:port` */
export async function openRawLink(t: TestContext, url: string): Promise<RawLink> {
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}${REGISTER_PATH}`, { rejectUnauthorized: false })
  t.after(() => socket.terminate())
  const texts: string[] = []
  const chunks: Buffer[] = []
  socket.on('error', () => undefined)
  socket.on('message', (data: RawData, isBinary) => {
    if (!isBinary) texts.push(String(data))
    else if (Buffer.isBuffer(data)) chunks.push(data)
    socket.emit('came')
  })
  const closed = new Promise<number>(resolve => {
    socket.once('close', code => {
      resolve(code)
      socket.emit('came')
    })
  })
  let seen = ''
  socket.once('upgrade', ({ socket: below }) => {
    if (below instanceof TLSSocket) seen = fingerprint(below.getPeerCertificate().raw)
  })
  await once(socket, 'open')
  return {
    socket,
    seen,
    bytes: () => Buffer.concat(chunks),
    closed,
    next: async () => {
      while (texts.length === 0 && socket.readyState !== WebSocket.CLOSED) await once(socket, 'came')
      return texts.shift() ?? '(closed)'
    },
    send: data =>
      Promise.race([
        new Promise<void>(resolve => {
          socket.send(data, () => resolve())
        }),
        closed.then(() => undefined)
      ])
  }
}

export interface Greeting {
  readonly purpose?: ConnectionPurpose
  /** The link of a lane. */
  readonly link?: string
  /** The answer that is given instead of the true one. */
  readonly change?: (identity: Identity, challenge: Challenge) => Identity
  /** SHA-256 of the certificate that it says it saw, instead of the one that it did. */
  readonly seen?: string
  /** The text that is signed instead of the one that was sent. */
  readonly challenge?: Partial<Challenge>
}

/** Answers the challenge. @returns what the relay says of it, parsed */
export async function greet(
  link: Pick<RawLink, 'next' | 'send' | 'seen'>,
  member: TreeMember,
  greeting: Greeting = {}
): Promise<Record<string, unknown>> {
  const challenge = parseChallenge(await link.next())
  const { purpose = 'link', change = identity => identity } = greeting
  const identity = answerChallenge(
    { ...challenge, ...greeting.challenge },
    readCredentials({ cert: member.certificate.certificatePem, key: member.certificate.privateKeyPem }),
    { fingerprint: greeting.seen ?? link.seen },
    {
      version: LINK_VERSIONS.newest,
      program: 'x',
      purpose,
      ...(greeting.link === undefined ? {} : { link: greeting.link })
    }
  )
  await link.send(JSON.stringify(change(identity, challenge)))
  const said = await link.next()
  return said === '(closed)' ? { treeline: said } : JSON.parse(said)
}

/** A link that was taken, in whose name the test now writes whatever it wants. */
export async function openHostileLink(
  t: TestContext,
  relay: TreeRelay,
  member: TreeMember
): Promise<RawLink & { readonly id: string; readonly secret: string }> {
  const link = await openRawLink(t, relay.url)
  const said = await greet(link, member)
  const { link: id, secret } = said
  if (typeof id !== 'string' || typeof secret !== 'string') throw new Error(`no link: ${JSON.stringify(said)}`)
  return { ...link, id, secret }
}

/** Types of HTTP/2 frames (RFC 9113, section 6). */
export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9
} as const

export function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export function many(count: number, bytes: Buffer): Buffer {
  return Buffer.concat(Array.from({ length: count }, () => bytes))
}

/** A SETTINGS frame. @param pairs by the number of each setting */
export function settings(pairs: Readonly<Record<number, number>> = {}): Buffer {
  const entries = Object.entries(pairs).map(([id, value]) => {
    const bytes = Buffer.alloc(6)
    bytes.writeUInt16BE(Number(id))
    bytes.writeUInt32BE(value, 2)
    return bytes
  })
  return frame(FRAME.settings, 0, 0, Buffer.concat(entries))
}

/** Says what every server of HTTP/2 says first. */
export const HELLO = Buffer.concat([settings(), frame(FRAME.settings, 1, 0)])

/** The numbers of the streams on which requests came, in the bytes that the relay sent. */
export function requestsIn(bytes: Buffer): number[] {
  const streams: number[] = []
  const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'.length
  for (let at = preface; at + 9 <= bytes.length; ) {
    if (bytes.readUInt8(at + 3) === FRAME.headers) streams.push(bytes.readUInt32BE(at + 5))
    at += 9 + bytes.readUIntBE(at, 3)
  }
  return streams
}
