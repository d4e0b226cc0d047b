import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { CallerLimits } from '../../../src/services/entry/caller-connection.js'
import { eventually } from '../eventually.js'
import { startRelaysTo } from './relays-to-service.js'

/** Relays between caller and client in the tests that follow. */
let levelsOfTests = 1

/** Only a test that hangs waits so long. */
const GIVE_UP_AFTER_MS = 60_000

/** One end of a connection whose bytes the test reads and writes itself. */
export class RawEnd {
  text = ''
  hasEnded = false
  isClosed = false
  #look: () => void = () => undefined

  constructor(readonly socket: Socket) {
    socket.on('data', (chunk: Buffer) => {
      this.text += chunk.toString('latin1')
      this.#look()
    })
    socket.on('end', () => {
      this.hasEnded = true
      this.#look()
    })
    socket.on('close', () => {
      this.isClosed = true
      this.#look()
    })
    socket.on('error', () => undefined) // a reset closes it as well
  }

  send(text: string | Buffer): this {
    this.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text)
    return this
  }

  /** Waits until all that came matches. @returns all that came */
  async until(pattern: RegExp): Promise<string> {
    await this.#wait(`${pattern}`, () => pattern.test(this.text) || this.isClosed)
    if (!pattern.test(this.text))
      throw new Error(`closed before ${pattern}: ${JSON.stringify(this.text.slice(0, 2_000))}`)
    return this.text
  }

  /** Waits until the other side has ended, and ends this side. @returns all that came */
  async closed(): Promise<string> {
    await this.#wait('the end', () => this.hasEnded || this.isClosed)
    this.socket.end()
    return this.text
  }

  async #wait(what: string, isThere: () => boolean): Promise<void> {
    if (isThere()) return
    await new Promise<void>((resolve, reject) => {
      const text = () => JSON.stringify(this.text.slice(-2_000))
      const timer = setTimeout(() => reject(new Error(`never came: ${what} behind ${text()}`)), GIVE_UP_AFTER_MS)
      this.#look = () => {
        if (!isThere()) return
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

export interface RawServiceTree {
  /** The port at which callers ask. */
  readonly port: number
  /** The port of the service. */
  readonly servicePort: number
  /** Opens a connection as a caller. */
  call(): RawEnd
  /** The next connection to the service, in the order in which they come. */
  accepted(): Promise<RawEnd>
  /** How many connections came to the service. */
  readonly connections: () => number
  readonly stopService: () => void
}

export interface RawServiceOptions {
  /** Relays between caller and client. @default 1 */
  readonly levels?: number
  /** The path of the base URL. */
  readonly basePath?: string
  /** Limits of the connections of callers. */
  readonly limits?: CallerLimits
  /** The port of a service other than that of the test. */
  readonly otherPort?: number
}

/** Has the tests that are defined from now on run over so many relays. */
export function putRelaysBetween(levels: number): void {
  levelsOfTests = levels
}

/** Defines a test that runs over one relay, and in test/integration over several. */
export function testOverLevels(name: string, run: (t: TestContext, levels: number) => Promise<void>): void {
  const levels = levelsOfTests
  test(levels === 1 ? name : `${name}, over ${levels} relays`, t => run(t, levels))
}

/** Relays, a client under the key `git` at the last of them, and a service whose bytes the test writes. */
export async function startRawService(
  t: TestContext,
  { levels = 1, basePath = '', limits, otherPort }: RawServiceOptions = {}
): Promise<RawServiceTree> {
  const waiting: RawEnd[] = []
  let count = 0
  const service = createServer({ allowHalfOpen: true }, socket => {
    count += 1
    waiting.push(new RawEnd(socket))
    t.after(() => socket.destroy())
  })
  service.listen(0, '127.0.0.1')
  await once(service, 'listening')
  t.after(() => service.close())
  const servicePort = otherPort ?? (service.address() as AddressInfo).port
  const port = await startRelaysTo(t, `http://127.0.0.1:${servicePort}${basePath}`, { levels, limits })
  return {
    port,
    servicePort,
    call() {
      const end = new RawEnd(connect({ port, host: '127.0.0.1', allowHalfOpen: true }))
      t.after(() => end.socket.destroy())
      return end
    },
    accepted: () => eventually('a connection to the service', () => waiting.shift()),
    connections: () => count,
    stopService: () => service.close()
  }
}
