import { type ClientRequest, type IncomingMessage, request as plainRequest } from 'node:http'
import { request as tlsRequest } from 'node:https'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { endIfCostly } from '../../hops/peers/costly-handshakes.js'
import { asError, errorMessage } from '../../values/failures/system-error.js'
import { LinkRefusedError } from '../wire/challenge.js'
import { LANE_PROTOCOL, REGISTER_PATH } from '../wire/protocol.js'
import { RawTransport } from '../wire/raw/raw-transport.js'
import type { SeenUpper } from '../wire/seen-upper.js'
import { boundOpening } from './bound-opening.js'
import { proxyFor } from './proxy.js'
import { CostlyUpperError, connectionFailure, lookAtUpper, type OpenedTransport, type Upper } from './upper.js'

/** The upper side was reached, and raw bytes do not pass: it is older, or something in between refuses them. */
export class RawRefusedError extends Error {
  override name = 'RawRefusedError'
}

/**
 * Opens a transport of raw bytes to the upper side, by an HTTP upgrade.
 * @returns what `use` gives
 * @throws {RawRefusedError} when raw bytes do not pass
 * @throws {Error} whose message is for a user
 */
export async function openRaw<T>(
  upper: Upper,
  signal: AbortSignal,
  use: (opened: OpenedTransport) => Promise<T>
): Promise<T> {
  const { connection, seen, head } = await askForUpgrade(upper, signal)
  const transport = new RawTransport(connection, head)
  const unwatch = [
    onAbort(signal, () => connection.destroy()),
    upper.revocations?.watch(seen.fingerprint, () => connection.destroy())
  ]
  connection.once('close', () => {
    for (const end of unwatch) end?.()
  })
  try {
    return await use({ transport, seen })
  } catch (error) {
    transport.terminate() // the other side need not close it
    if (transport.isGreeted || error instanceof LinkRefusedError) throw error
    throw new RawRefusedError(errorMessage(error), { cause: error })
  }
}

interface Upgraded {
  readonly connection: Socket
  readonly seen: SeenUpper
  readonly head: Buffer
}

function askForUpgrade(upper: Upper, signal: AbortSignal): Promise<Upgraded> {
  signal.throwIfAborted()
  const request = makeRequest(upper)
  return new Promise((resolve, reject) => {
    let isAsked = false
    boundOpening(request)
    const unwatch = onAbort(signal, () => request.destroy())
    const settle = (then: () => void) => {
      unwatch()
      then()
    }
    const refused = (why: string) => settle(() => reject(new RawRefusedError(`${upper.url} ${why}`)))
    let costly: ReturnType<typeof endIfCostly> = () => undefined
    request.once('socket', (connection: Socket) => {
      if (connection instanceof TLSSocket) costly = endIfCostly(connection)
      connection.once(connection instanceof TLSSocket ? 'secureConnect' : 'connect', () => {
        isAsked = true
      })
    })
    request.once('upgrade', ({ headers, statusCode }: IncomingMessage, connection: Socket, head: Buffer) => {
      connection.on('error', () => undefined) // `close` follows
      try {
        const seen = lookAtUpper(connection, upper)
        if (statusCode === 101 && headers.upgrade?.toLowerCase() === LANE_PROTOCOL) {
          return settle(() => resolve({ connection, seen, head }))
        }
        refused('changed to another protocol')
      } catch (error) {
        settle(() => reject(asError(error)))
      }
      connection.destroy()
    })
    request.once('response', response => {
      response.destroy()
      refused(`answered ${response.statusCode}`)
    })
    request.on('error', cause => {
      const failure = connectionFailure(upper, costly() ?? cause)
      const isFinal = !isAsked || failure instanceof CostlyUpperError
      settle(() => reject(isFinal ? failure : new RawRefusedError(failure.message, { cause })))
    })
    request.end()
  })
}

function makeRequest(upper: Upper): ClientRequest {
  const send = upper.url.startsWith('wss:') ? tlsRequest : plainRequest
  const url = `${upper.url}${REGISTER_PATH}`
  return send(url.replace(/^ws/, 'http'), {
    ...upper.tls,
    minVersion: 'TLSv1.3',
    agent: proxyFor(url) ?? false,
    headers: { connection: 'Upgrade', upgrade: LANE_PROTOCOL }
  })
}

/** @returns a function that ends this */
function onAbort(signal: AbortSignal, act: () => void): () => void {
  if (signal.aborted) act()
  signal.addEventListener('abort', act, { once: true })
  return () => signal.removeEventListener('abort', act)
}
