import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { answerUnderWay } from '../../api/requests/answer-under-way.js'

/**
 * Calls `act` once the requests that came before on the same connection are answered: at once, unless some wait. It is
 * for a request that offers an upgrade: from then on Node looks after the connection no more, and what it did for
 * answers that are still under way is done here. Where the connection is closed after them, `act` is not called.
 */
export function afterEarlierAnswers(connection: Duplex, act: () => void): void {
  if (connection instanceof Socket && answerUnderWay(connection) !== undefined) waitForAnswers(connection, act)
  else act()
}

function waitForAnswers(socket: Socket, act: () => void): void {
  const ignore = () => undefined // `close` follows an error
  const drain = () => void answerUnderWay(socket)?.emit('drain')
  socket.on('error', ignore)
  socket.on('drain', drain)
  socket.on('readable', ignore) // or what comes meanwhile would be dropped whenever Node resumes the connection
  next()

  function next(): void {
    const answer = answerUnderWay(socket)
    if (answer !== undefined) {
      answer.once('finish', next)
      return
    }
    socket.off('drain', drain)
    socket.off('readable', ignore)
    if (socket.destroyed || socket.writableEnded) return
    socket.off('error', ignore)
    socket.setTimeout(0) // that of an unused connection, which Node has set after the answer
    act()
  }
}
