import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Caller } from '../../values/caller.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { FairSlots, type ReleaseSlot } from '../../values/fair-slots.js'
import { sourceOf } from '../../values/network/source-address.js'
import { limitStalledReader } from './reader-limit.js'

/** Answers made whole that their callers have not taken yet, shared among the sources. */
export const MAX_UNREAD_ANSWERS = 128

/**
 * The answers that are in memory whole until their callers take them. Each caller may have many connections, and read
 * from none of them.
 */
export class UnreadAnswers {
  readonly #slots: FairSlots
  readonly #bySocket = new WeakMap<Socket, Set<ReleaseSlot>>()

  constructor(capacity = MAX_UNREAD_ANSWERS) {
    this.#slots = new FairSlots(capacity)
  }

  /**
   * Counts an answer until it is taken; to be called right before it is sent. It ends, with its connection, where a
   * source that has fewer needs its place, or where its reader takes nothing for long.
   * @throws {RelayError} BUSY
   */
  hold(request: Pick<FastifyRequest, 'caller' | 'raw'>, { raw: response }: Pick<FastifyReply, 'raw'>): void {
    const { caller, raw } = request
    const { socket } = raw
    const release = this.#slots.take(caller.id ?? sourceOf(caller.address), isTrusted(caller), () => socket.destroy())
    if (release === undefined) {
      throw new RelayError(
        'BUSY',
        `${this.#slots.held} answers have not been read yet; read them, or ask again in a moment`
      )
    }
    this.#releaseOnEnd(response, socket, release)
    limitStalledReader(response, socket)
  }

  /** An answer that waits behind another one is told nothing of the end of its connection. */
  #releaseOnEnd(response: ServerResponse, socket: Socket, release: ReleaseSlot): void {
    const releases = this.#bySocket.get(socket) ?? new Set()
    if (!this.#bySocket.has(socket)) {
      this.#bySocket.set(socket, releases)
      socket.once('close', () => {
        for (const each of releases) each()
      })
    }
    releases.add(release)
    response.once('finish', () => {
      releases.delete(release)
      release()
    })
    if (socket.destroyed) release()
  }
}

function isTrusted({ kind, isAdmin }: Caller): boolean {
  return kind === 'local' || kind === 'admin' || kind === 'policy-server' || isAdmin === true
}
