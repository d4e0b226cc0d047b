import type { Socket } from 'node:net'
import { SourceQueue } from '../../values/sources/source-queue.js'

/**
 * The standing of a source: the certificate of a neighbour came from it, its handshakes cost little, or nothing good is
 * known of it.
 */
export type SourceStanding = 'known' | 'cheap' | 'unknown'

/** The longest pause after a round in which nothing came. */
const MAX_PAUSE_MS = 16
/** The part of that pause for each turn of the round: four times what a turn takes in which nothing comes. */
const PAUSE_OF_TURN_MS = 0.08

interface Reader {
  readonly source: string
  readonly standing: SourceStanding
  readonly socket: Socket
}

interface Turn {
  readonly reader: Reader
  readonly busyBeforeMs: number
  readonly bytesBefore: number
}

/** The readers of one standing. */
class Group {
  readonly readers = new SourceQueue<Reader>()
  restsUntilMs = 0
}

/**
 * Has connections amid their handshake read one at a time, each in a turn of the event loop of its own: what a caller
 * sends is verified within the read, however long that takes, and Node would read all that have something in one turn.
 * The sources take turns. Those of one standing can be made to rest together.
 */
export class ReadingTurns {
  readonly #groups: Readonly<Record<SourceStanding, Group>> = {
    known: new Group(),
    cheap: new Group(),
    unknown: new Group()
  }
  /** The groups in the order in which they come to their turns. */
  readonly #order = Object.values(this.#groups)
  readonly #bySocket = new Map<Socket, Reader>()
  #turn: Turn | undefined
  #isScheduled = false
  #pause: NodeJS.Timeout | undefined
  #pauseMs = 1
  /** Turns in succession in which nothing came. */
  #inVain = 0

  /** @param onTurn called after a turn in which something came, unless the handshake has ended within it */
  constructor(private readonly onTurn: (socket: Socket, costMs: number) => void) {}

  /** The time that the turn of a connection has taken so far; 0 while another one has its turn, or none. */
  costMs(socket: Socket): number {
    return this.#turn?.reader.socket === socket ? busyMs() - this.#turn.busyBeforeMs : 0
  }

  /** Stops a connection's reading, but for its turns, until it is deleted. */
  add(source: string, standing: SourceStanding, socket: Socket): void {
    const reader = { source, standing, socket }
    this.#bySocket.set(socket, reader)
    this.#groups[standing].readers.add(source, reader)
    setReading(socket, false)
    this.#pauseMs = 1
    this.#schedule()
  }

  /** Has a connection read on that is done. */
  delete(socket: Socket): void {
    const reader = this.#bySocket.get(socket)
    if (reader === undefined) return
    this.#bySocket.delete(socket)
    this.#groups[reader.standing].readers.delete(reader.source, reader)
    if (!socket.destroyed) setReading(socket, true)
  }

  /** Has all sources of a standing rest, and those of whom less is known. Neighbours never rest together. */
  rest(standing: SourceStanding, ms: number): void {
    if (standing === 'known') return
    const untilMs = performance.now() + ms
    const { cheap, unknown } = this.#groups
    for (const group of standing === 'cheap' ? [cheap, unknown] : [unknown])
      group.restsUntilMs = Math.max(group.restsUntilMs, untilMs)
  }

  close(): void {
    clearTimeout(this.#pause)
  }

  #schedule(): void {
    if (this.#isScheduled || this.#turn !== undefined || this.#pause !== undefined) return
    this.#isScheduled = true
    setImmediate(this.#begin)
  }

  readonly #begin = (): void => {
    this.#isScheduled = false
    if (this.#bySocket.size === 0) return
    const nowMs = performance.now()
    const able = this.#order.filter(({ readers, restsUntilMs }) => readers.size > 0 && restsUntilMs <= nowMs)
    const [group] = able
    const count = able.reduce((sum, { readers }) => sum + readers.size, 0)
    const reader = this.#inVain < count ? group?.readers.next() : undefined
    if (group === undefined || reader === undefined) {
      this.#wait(nowMs)
      return
    }
    this.#order.splice(this.#order.indexOf(group), 1)
    this.#order.push(group)
    this.#turn = { reader, busyBeforeMs: busyMs(), bytesBefore: reader.socket.bytesRead }
    setReading(reader.socket, true)
    setImmediate(this.#end) // once what came is read
  }

  readonly #end = (): void => {
    if (this.#turn === undefined) return
    const { reader, bytesBefore } = this.#turn
    const { source, standing, socket } = reader
    const costMs = this.costMs(socket)
    this.#turn = undefined
    const isLeft = this.#bySocket.get(socket) === reader
    if (isLeft) {
      setReading(socket, false)
      this.#groups[standing].readers.add(source, reader)
    }
    if (isLeft && socket.bytesRead === bytesBefore) {
      this.#inVain += 1
    } else {
      this.#inVain = 0
      this.#pauseMs = 1
    }
    if (isLeft && socket.bytesRead > bytesBefore) this.onTurn(socket, costMs)
    this.#begin()
  }

  /** Goes on after a pause, also where all rest: one may be added of whom more is known. */
  #wait(nowMs: number): void {
    const ends = this.#order.filter(({ readers }) => readers.size > 0).map(({ restsUntilMs }) => restsUntilMs - nowMs)
    const pauseMs = Math.max(this.#pauseMs, PAUSE_OF_TURN_MS * this.#inVain, Math.min(MAX_PAUSE_MS, ...ends))
    this.#pauseMs = Math.min(2 * this.#pauseMs, MAX_PAUSE_MS)
    this.#inVain = 0
    this.#pause = setTimeout(() => {
      this.#pause = undefined
      this.#begin()
    }, pauseMs).unref()
  }
}

/** Has the handle of a socket read, or not, beneath the TLS over it: to pause either stream would stop neither. */
function setReading(socket: Socket, isReading: boolean): void {
  const handle: unknown = Reflect.get(socket, '_handle')
  if (typeof handle !== 'object' || handle === null) return
  const change: unknown = Reflect.get(handle, isReading ? 'readStart' : 'readStop')
  if (typeof change === 'function') Reflect.apply(change, handle, [])
}

/** Tells how long the event loop was busy, in all. */
export function busyMs(): number {
  return performance.eventLoopUtilization().active
}
