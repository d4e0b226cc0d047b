import type { FramedStream, StreamSink } from '../../links/streams/framed-stream.js'
import { RESET } from '../../links/streams/stream-protocol.js'
import { LogLimit } from '../../values/logging/log-limit.js'
import type { Logger } from '../../values/logging/logger.js'
import type { TakeKind } from '../streams/stream-kinds.js'
import {
  BadAnnouncementError,
  formatComplete,
  formatGone,
  formatReplica,
  linesOf,
  parseKeyLine
} from './announcement.js'
import { MAX_STREAM_HOPS } from './forward-stream.js'
import type { Replica } from './replica.js'
import type { ServiceKeys } from './service-keys.js'

/** Changes within so long go together. Each relay on the way up waits so long, and all of 16 less than a second. */
const COALESCE_MS = 50
/** Replicas that the upper side did not take are told again after so long: it may have room then. */
const TELL_AGAIN_MS = 60_000
/** Beyond so many characters lines go in another message. */
const MAX_MESSAGE_CHARS = 16 * 1024

export interface KeyAnnouncerOptions {
  readonly keys: Pick<ServiceKeys, 'all' | 'onChange'>
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
  /** Calls back once changes are to be told. @default after 50 ms */
  readonly soon?: (flush: () => void) => void
  /** Calls back once refused replicas are to be told again. @default after a minute */
  readonly later?: (tell: () => void) => void
}

/** Tells the upper side which services this relay reaches: all of them when it asks, then each change. */
export class KeyAnnouncer {
  readonly #refusals: LogLimit
  #current: Announcing | undefined
  #isStopped = false

  constructor(private readonly options: KeyAnnouncerOptions) {
    this.#refusals = new LogLimit(options.logger)
  }

  /** Takes streams of the kind `keys`. A newer one ends the former. */
  readonly take: TakeKind = stream => {
    if (this.#isStopped) {
      stream.reset(RESET.refused, 'the relay is stopping')
      return
    }
    this.#current?.end()
    const { keys, soon = after(COALESCE_MS), later = after(TELL_AGAIN_MS) } = this.options
    this.#current = new Announcing(stream, keys, { soon, later }, (key, reason) => {
      this.#refusals.warn(key, { key, reason }, 'the policy server does not take a client key')
    })
    stream.sink = this.#current
    this.#current.begin()
  }

  /** Takes back all that was told: no further streams are wanted. */
  stop(): void {
    this.#isStopped = true
    this.#current?.end()
    this.#current = undefined
  }
}

class Announcing implements StreamSink {
  readonly #numbers = new Map<Replica, number>()
  readonly #byNumber = new Map<number, Replica>()
  /** Replicas that were not told yet. */
  readonly #coming = new Set<Replica>()
  /** Numbers of replicas that were told, and have gone. */
  readonly #gone = new Set<number>()
  /** Replicas that the upper side did not take. */
  readonly #refused = new Set<Replica>()
  readonly #unfollow: () => void
  #next = 0
  #isComplete = false
  #isAwaited = false
  #isOver = false

  constructor(
    private readonly stream: FramedStream,
    private readonly keys: KeyAnnouncerOptions['keys'],
    private readonly when: Readonly<Record<'soon' | 'later', (call: () => void) => void>>,
    private readonly wasRefused: (key: string, reason: string) => void
  ) {
    this.#unfollow = keys.onChange((event, replica) => {
      if (event === 'added') this.#come(replica)
      else this.#forget(replica)
      this.#flushSoon()
    })
  }

  begin(): void {
    for (const replica of this.keys.all()) this.#come(replica)
    this.#flush()
  }

  end(): void {
    this.#close()
    this.stream.end()
  }

  onMessage(payload: Buffer): void {
    this.stream.consumed(payload.length)
    try {
      for (const text of linesOf(payload)) {
        const line = parseKeyLine(text)
        const replica = line.says === 'refused' ? this.#byNumber.get(line.number) : undefined
        if (replica !== undefined && line.says === 'refused') this.#noteRefusal(line.number, replica, line.reason)
      }
    } catch (error) {
      if (!(error instanceof BadAnnouncementError)) throw error
      this.#close()
      this.stream.reset(RESET.broken, error.message)
    }
  }

  onData(piece: Buffer): void {
    this.stream.consumed(piece.length)
  }

  onEnd(): void {
    this.end()
  }

  onReset(): void {
    this.#close()
  }

  onDrain(): void {
    this.#flush()
  }

  #close(): void {
    this.#isOver = true
    this.#unfollow()
    this.#coming.clear()
    this.#gone.clear()
    this.#refused.clear()
  }

  #noteRefusal(number: number, replica: Replica, reason: string): void {
    this.#byNumber.delete(number)
    this.#numbers.delete(replica)
    if (this.#refused.size === 0) this.when.later(() => this.#tellRefused())
    this.#refused.add(replica)
    this.wasRefused(replica.key, reason)
  }

  #tellRefused(): void {
    for (const replica of this.#refused) this.#come(replica)
    this.#refused.clear()
    this.#flush()
  }

  /** A replica that is as far away as a stream may go is not told: the relay above could not reach it. */
  #come(replica: Replica): void {
    if (replica.path.length < MAX_STREAM_HOPS) this.#coming.add(replica)
  }

  #forget(replica: Replica): void {
    this.#coming.delete(replica)
    this.#refused.delete(replica)
    const number = this.#numbers.get(replica)
    if (number === undefined) return
    this.#numbers.delete(replica)
    this.#byNumber.delete(number)
    this.#gone.add(number)
  }

  #flushSoon(): void {
    if (this.#isAwaited) return
    this.#isAwaited = true
    this.when.soon(() => {
      this.#isAwaited = false
      this.#flush()
    })
  }

  #flush(): void {
    let text = ''
    let hasRoom = true
    const add = (line: string) => {
      text += line
      if (text.length < MAX_MESSAGE_CHARS) return
      hasRoom = this.stream.message(Buffer.from(text))
      text = ''
    }
    for (const number of this.#gone) {
      if (this.#isOver || !hasRoom) break
      this.#gone.delete(number)
      add(formatGone(number))
    }
    for (const replica of this.#coming) {
      if (this.#isOver || !hasRoom) break
      this.#coming.delete(replica)
      add(this.#line(replica))
    }
    if (hasRoom && !this.#isComplete && !this.#isOver) {
      this.#isComplete = true
      add(formatComplete())
    }
    if (text !== '') this.stream.message(Buffer.from(text))
  }

  #line(replica: Replica): string {
    const number = this.#next
    this.#next += 1
    this.#numbers.set(replica, number)
    this.#byNumber.set(number, replica)
    return formatReplica(number, replica)
  }
}

function after(ms: number): (call: () => void) => void {
  return call => void setTimeout(call, ms).unref()
}
