import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { eventually } from '../eventually.js'

const SUPPORTED_GROUPS = 10

/** A port that reads the ClientHello of each connection and closes it. @param atPort any that is free where it is left out */
export async function openHelloReader(t: TestContext, atPort = 0) {
  const hellos: Buffer[] = []
  const server = createServer((socket: Socket) => {
    let seen = Buffer.alloc(0)
    socket.on('error', () => undefined)
    socket.on('data', chunk => {
      seen = Buffer.concat([seen, chunk])
      if (seen.length < 5 || seen.length < 5 + seen.readUInt16BE(3)) return
      hellos.push(seen)
      socket.destroy()
    })
  })
  server.listen(atPort, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  return {
    port,
    /** The groups of the next connection's. */
    groups: async () => groupsOf(await eventually('a ClientHello', () => hellos.shift()))
  }
}

/** The groups that a ClientHello offers (RFC 8446, section 4.2.7). @param record with its header */
function groupsOf(record: Buffer): readonly number[] {
  let at = 5 + 4 + 2 + 32 // headers of record and message, version, random
  at += 1 + record.readUInt8(at) // session id
  at += 2 + record.readUInt16BE(at) // cipher suites
  at += 1 + record.readUInt8(at) // compression
  const end = at + 2 + record.readUInt16BE(at)
  for (at += 2; at < end; at += 4 + record.readUInt16BE(at + 2)) {
    if (record.readUInt16BE(at) !== SUPPORTED_GROUPS) continue
    const count = record.readUInt16BE(at + 4) / 2
    return Array.from({ length: count }, (_, index) => record.readUInt16BE(at + 6 + 2 * index))
  }
  return []
}
