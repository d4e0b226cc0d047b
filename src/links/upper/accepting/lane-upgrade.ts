import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { LANE_PROTOCOL } from '../../wire/protocol.js'
import { RawTransport } from '../../wire/raw/raw-transport.js'

/** Whether a request for a link asks for a lane of raw bytes. */
export function isLaneUpgrade({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === LANE_PROTOCOL
}

/** Answers a request for a lane of raw bytes. @param head bytes that came behind it */
export function switchToRaw(connection: Duplex, head: Buffer): RawTransport {
  connection.cork() // the challenge goes along
  process.nextTick(() => connection.uncork())
  connection.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${LANE_PROTOCOL}\r\n\r\n`)
  return new RawTransport(connection, head)
}
