import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { eventually } from '../eventually.js'
import { FRAME, frame, settings, uint32 } from '../hostile/hostile-link.js'

export interface ReceivedFrame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

export const END_STREAM = 1
export const END_HEADERS = 4

/** A caller in HTTP/2 whose frames the test writes itself. */
export class RawHttp2 {
  readonly frames: ReceivedFrame[] = []
  isClosed = false
  #rest: Buffer = Buffer.alloc(0)

  constructor(readonly socket: Socket) {
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('error', () => undefined) // a reset closes it as well
    socket.on('close', () => {
      this.isClosed = true
    })
  }

  send(...parts: readonly Buffer[]): this {
    this.socket.write(Buffer.concat(parts))
    return this
  }

  /** Waits for a frame that came, or comes. */
  until(what: string, matches: (frame: ReceivedFrame) => boolean): Promise<ReceivedFrame> {
    return eventually(`${what} among ${this.frames.map(({ type, stream }) => `${type}@${stream}`).slice(-20)}`, () => {
      return this.frames.find(matches)
    })
  }

  /** Waits for the end of the connection. @returns the error code of the last GOAWAY */
  async closed(): Promise<number | undefined> {
    await eventually('the end of the connection', () => this.isClosed)
    return this.frames.findLast(({ type }) => type === FRAME.goaway)?.payload.readUInt32BE(4)
  }

  #read(chunk: Buffer): void {
    let bytes = Buffer.concat([this.#rest, chunk])
    while (bytes.length >= 9 && bytes.length >= 9 + bytes.readUIntBE(0, 3)) {
      const end = 9 + bytes.readUIntBE(0, 3)
      const [type, flags, stream] = [bytes.readUInt8(3), bytes.readUInt8(4), bytes.readUInt32BE(5)]
      this.frames.push({ type, flags, stream, payload: bytes.subarray(9, end) })
      bytes = bytes.subarray(end)
    }
    this.#rest = bytes
  }
}

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

/** Opens a connection, which is closed with the test. @param isSilent whether nothing is said yet */
export function rawHttp2(t: TestContext, port: number, isSilent = false): RawHttp2 {
  const raw = new RawHttp2(connect(port, '127.0.0.1'))
  t.after(() => raw.socket.destroy())
  return isSilent ? raw : raw.send(PREFACE, settings())
}

/** A header block without compression (RFC 7541, 6.2.2). */
export function headerBlock(fields: Readonly<Record<string, string>>): Buffer {
  const parts = Object.entries(fields).flatMap(([name, value]) => [Buffer.of(0), literal(name), literal(value)])
  return Buffer.concat(parts)
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  if (bytes.length < 127) return Buffer.concat([Buffer.of(bytes.length), bytes])
  const length = [127]
  let left = bytes.length - 127
  for (; left >= 128; left = Math.floor(left / 128)) length.push(128 + (left % 128))
  return Buffer.concat([Buffer.of(...length, left), bytes])
}

export function headersFrame(stream: number, fields: Readonly<Record<string, string>>, flags = END_STREAM): Buffer {
  return frame(FRAME.headers, END_HEADERS | flags, stream, headerBlock(fields))
}

export function resetFrame(stream: number, code: number): Buffer {
  return frame(FRAME.reset, 0, stream, uint32(code))
}

/** The pseudo-headers of a GET of a path. */
export function get(path: string, more: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  return { ':method': 'GET', ':scheme': 'http', ':path': path, ':authority': 'entry', ...more }
}
