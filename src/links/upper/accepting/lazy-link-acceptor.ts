import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { isLinkUpgrade } from './is-link-upgrade.js'
import type { LinkAcceptor, LinkAcceptorOptions } from './link-acceptor.js'

interface Asked {
  readonly request: IncomingMessage
  readonly socket: Duplex
  readonly head: Buffer
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
  let waiting: Asked[] = []

  async function makeAcceptor(): Promise<void> {
    isLoading = true
    try {
      acceptor = (await load())(options)
      if (isClosed) acceptor.close()
    } catch (error) {
      options.logger.error({ err: error }, 'cannot load the link acceptor')
    }
    isLoading = false
    const asked = waiting
    waiting = []
    for (const { request, socket, head } of asked) {
      // Those that are cut off come again.
      if (acceptor === undefined) socket.destroy()
      else acceptor.upgrade(request, socket, head)
    }
  }

  return {
    takes: isLinkUpgrade,
    upgrade(request, socket, head) {
      if (acceptor !== undefined) return acceptor.upgrade(request, socket, head)
      socket.on('error', () => undefined)
      waiting.push({ request, socket, head })
      if (!isLoading) void makeAcceptor() // never rejects
    },
    close() {
      isClosed = true
      acceptor?.close()
    }
  }
}
