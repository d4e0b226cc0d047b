import type { Duplex } from 'node:stream'
import { ChallengeError } from '../challenge.js'

/** The longest line: no message of the handshake may be longer. */
export const MAX_HANDSHAKE_LINE_BYTES = 16 * 1024
/** The pieces in which a line may come. We send it whole; what is in between may cut it. */
export const MAX_HANDSHAKE_LINE_PIECES = 96

const NEW_LINE = 0x0a

/**
 * The next line of a connection on which nothing else listens, and which is paused before and after.
 * @param receive called at once, in the same turn; what follows the line comes to whoever listens afterwards
 * @throws whatever `receive` throws; {@link ChallengeError} when none comes in time, it is too long, or the connection ends
 */
export function awaitLine<T>(connection: Duplex, limitMs: number, receive: (line: string) => T): Promise<T> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    let length = 0
    const timer = setTimeout(() => fail(`nothing came within ${limitMs} ms`), limitMs)
    function settle(then: () => void): void {
      clearTimeout(timer)
      connection.off('data', onData)
      connection.off('end', onEnd)
      connection.off('close', onEnd)
      connection.off('error', onError)
      connection.pause()
      then()
    }
    function fail(reason: string): void {
      settle(() => reject(new ChallengeError(reason)))
    }
    function onData(chunk: Buffer): void {
      const end = chunk.indexOf(NEW_LINE)
      const piece = end === -1 ? chunk : chunk.subarray(0, end)
      pieces.push(piece)
      length += piece.length
      if (length > MAX_HANDSHAKE_LINE_BYTES)
        return void fail(`a message of more than ${MAX_HANDSHAKE_LINE_BYTES} bytes came`)
      if (end === -1) {
        if (pieces.length >= MAX_HANDSHAKE_LINE_PIECES)
          fail(`a message came in more than ${MAX_HANDSHAKE_LINE_PIECES} pieces`)
        return
      }
      settle(() => {
        if (end + 1 < chunk.length) connection.unshift(chunk.subarray(end + 1))
        try {
          resolve(receive(Buffer.concat(pieces).toString()))
        } catch (error) {
          reject(error)
        }
      })
    }
    function onEnd(): void {
      fail('it closed the connection')
    }
    function onError(error: Error): void {
      fail(`the connection was lost: ${error.message}`)
    }
    connection.on('data', onData)
    connection.on('end', onEnd)
    connection.on('close', onEnd)
    connection.on('error', onError)
    if (connection.destroyed) onEnd()
    else connection.resume()
  })
}
