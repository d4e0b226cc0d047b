import { TLSSocket } from 'node:tls'
import { WebSocket } from 'ws'
import { endIfCostly } from '../../hops/peers/costly-handshakes.js'
import { asError } from '../../values/failures/system-error.js'
import { CLOSE, REGISTER_PATH, WEB_SOCKET_LIMITS } from '../wire/protocol.js'
import { seenUpper } from '../wire/seen-upper.js'
import { WebSocketTransport } from '../wire/web-socket-transport.js'
import { boundOpening } from './bound-opening.js'
import { proxyFor } from './proxy.js'
import { connectionFailure, lookAtUpper, type OpenedTransport, type Upper } from './upper.js'

/**
 * Opens a transport to the upper side: a WebSocket.
 * @param use called in the turn in which it opens, since the first message may have come with it
 * @returns what `use` gives
 * @throws {Error} whose message is for a user
 */
export async function openWebSocket<T>(
  upper: Upper,
  signal: AbortSignal,
  use: (opened: OpenedTransport) => Promise<T>
): Promise<T> {
  signal.throwIfAborted()
  const url = `${upper.url}${REGISTER_PATH}`
  let costly: ReturnType<typeof endIfCostly> = () => undefined
  const socket = new WebSocket(url, {
    ...upper.tls,
    minVersion: 'TLSv1.3',
    agent: proxyFor(url),
    ...WEB_SOCKET_LIMITS,
    followRedirects: false,
    finishRequest: request => {
      boundOpening(request)
      request.once('socket', opened => {
        if (opened instanceof TLSSocket) costly = endIfCostly(opened)
      })
      request.end()
    }
  })
  const onAbort = () => {
    if (socket.readyState === WebSocket.OPEN) socket.close(CLOSE.stopping, 'it is stopping')
    else socket.terminate()
  }
  signal.addEventListener('abort', onAbort, { once: true })
  socket.once('close', () => signal.removeEventListener('abort', onAbort))
  return new Promise((resolve, reject) => {
    let wrong: Error | undefined
    let seen = seenUpper(undefined, false)
    socket.on('error', error => reject(wrong ?? connectionFailure(upper, costly() ?? error)))
    socket.once('unexpected-response', (_request, response) => {
      response.destroy()
      wrong = new Error(
        `${upper.url} answered ${response.statusCode}: no Treeline relay that takes links listens there`
      )
      socket.terminate()
      reject(wrong)
    })
    socket.once('upgrade', response => {
      try {
        seen = lookAtUpper(response.socket, upper)
      } catch (error) {
        wrong = asError(error)
        socket.terminate()
      }
    })
    socket.once('open', () => {
      if (wrong !== undefined) return reject(wrong)
      const unwatch = upper.revocations?.watch(seen.fingerprint, () => socket.terminate())
      socket.once('close', () => unwatch?.())
      const used = use({ transport: new WebSocketTransport(socket), seen })
      used.catch(() => socket.terminate()) // the other side need not close it
      resolve(used)
    })
    socket.once('close', () => reject(wrong ?? new Error(`${upper.url} closed the connection`)))
  })
}
