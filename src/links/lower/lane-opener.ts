import { errorMessage } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logging/logger.js'
import { openRaw, RawRefusedError } from './open-raw.js'
import { openWebSocket } from './open-web-socket.js'
import type { OpenedTransport, Upper } from './upper.js'

/** The kind of lanes: raw bytes where these pass and WebSockets elsewhere, or WebSockets in any case. */
export type LaneKind = 'auto' | 'websocket'

/** The time for which raw bytes are not tried again at an address where they did not pass and a WebSocket did, in ms. */
export const RAW_AGAIN_AFTER_MS = 10 * 60_000

export interface LaneOpenerOptions {
  /** @default 'auto' */
  readonly lane?: (() => LaneKind) | undefined
  readonly logger: Pick<Logger, 'info'>
  /** In ms, of a clock that only goes forward. */
  readonly now: () => number
}

/** Opens the transports of lanes, and remembers where raw bytes do not pass. */
export class LaneOpener {
  #refused: { readonly url: string; readonly untilMs: number } | undefined

  constructor(private readonly options: LaneOpenerOptions) {}

  /** Does the same as {@link openWebSocket}, by raw bytes where these pass. */
  async open<T>(upper: Upper, signal: AbortSignal, use: (opened: OpenedTransport) => Promise<T>): Promise<T> {
    if (!this.#triesRaw(upper.url)) return openWebSocket(upper, signal, use)
    try {
      return await openRaw(upper, signal, use)
    } catch (error) {
      if (!(error instanceof RawRefusedError)) throw error
      const used = await openWebSocket(upper, signal, use)
      this.#remember(upper.url, errorMessage(error))
      return used
    }
  }

  #triesRaw(url: string): boolean {
    if (this.options.lane?.() === 'websocket') return false
    return this.#refused?.url !== url || this.options.now() >= this.#refused.untilMs
  }

  #remember(url: string, reason: string): void {
    if (this.#triesRaw(url)) this.options.logger.info({ url, reason }, 'lanes are WebSockets: raw bytes do not pass')
    this.#refused = { url, untilMs: this.options.now() + RAW_AGAIN_AFTER_MS }
  }
}
