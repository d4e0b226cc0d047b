import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { isLinkUpgrade } from './is-link-upgrade.js'
import type { LinkAcceptor, LinkAcceptorOptions } from './link-acceptor.js'

interface Asked {
  readonly request: IncomingMessage
  readonly socket: Duplex
  readonly head: Buffer
  readonly onWelcome: (() => void) | undefined
}

/**
 * An acceptor that is loaded when somebody first asks for a link: many relays have none, and are smaller without.
 * Callers that ask meanwhile wait, in the order of asking; the bytes that they send stay in their sockets.
 */
export function createLazyLinkAcceptor(
  options: LinkAcceptorOptions,
  load = async () => (await import('./link-acceptor.js')).createLinkAcceptor
): LinkAcceptor {
  let acceptor: LinkAcceptor | undefined
  let isLoading = false
  let isClosed = false
  let maxPending: number | undefined
  let waiting: Asked[] = []

  async function makeAcceptor(): Promise<void> {
    isLoading = true
    try {
      acceptor = (await load())(options)
      if (maxPending !== undefined) acceptor.limitPending(maxPending)
      if (isClosed) acceptor.close()
    } catch (error) {
      options.logger.error({ err: error }, 'cannot load the link acceptor')
    }
    isLoading = false
    const asked = waiting
    waiting = []
    for (const { request, socket, head, onWelcome } of asked) {
      // Those that are cut off come again.
      if (acceptor === undefined) socket.destroy()
      else acceptor.upgrade(request, socket, head, onWelcome)
    }
  }

  return {
    takes: isLinkUpgrade,
    upgrade(request, socket, head, onWelcome) {
      if (acceptor !== undefined) return acceptor.upgrade(request, socket, head, onWelcome)
      socket.on('error', () => undefined)
      waiting.push({ request, socket, head, onWelcome })
      if (!isLoading) void makeAcceptor() // never rejects
    },
    limitPending(max) {
      maxPending = max
      acceptor?.limitPending(max)
    },
    close() {
      isClosed = true
      acceptor?.close()
    }
  }
}
