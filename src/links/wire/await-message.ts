import type { RawData, WebSocket } from 'ws'
import { ChallengeError } from './challenge.js'

/** Pings and pongs before a message of the handshake: ws answers each, and nobody sends any so soon. */
export const MAX_PINGS_OF_HANDSHAKE = 16

/**
 * The next text message of a WebSocket on which nothing else listens yet.
 * @param receive called at once, in the same turn, so that whatever listens afterwards misses no message
 * @throws whatever `receive` throws; {@link ChallengeError} when none comes in time, or something else does
 */
export function awaitMessage<T>(socket: WebSocket, limitMs: number, receive: (text: string) => T): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => settle(() => fail(`nothing came within ${limitMs} ms`)), limitMs)
    let pings = 0
    function settle(then: () => void): void {
      clearTimeout(timer)
      socket.off('message', onMessage)
      socket.off('close', onClose)
      socket.off('error', onError)
      socket.off('ping', onPing)
      socket.off('pong', onPing)
      then()
    }
    function fail(reason: string): void {
      reject(new ChallengeError(reason))
    }
    function onMessage(data: RawData, isBinary: boolean): void {
      settle(() => {
        if (isBinary) return fail('bytes came where a message was expected')
        try {
          resolve(receive(String(data)))
        } catch (error) {
          reject(error)
        }
      })
    }
    function onClose(code: number, reason: Buffer): void {
      const why = reason.length === 0 ? '' : `: ${reason.toString('utf8')}`
      settle(() => fail(`it closed the connection (${code})${why}`))
    }
    function onError(error: Error): void {
      settle(() => reject(error))
    }
    function onPing(): void {
      pings += 1
      if (pings > MAX_PINGS_OF_HANDSHAKE)
        settle(() => fail(`more than ${MAX_PINGS_OF_HANDSHAKE} pings came before a message`))
    }
    socket.on('ping', onPing)
    socket.on('pong', onPing)
    socket.on('message', onMessage)
    socket.on('close', onClose)
    socket.on('error', onError)
  })
}
