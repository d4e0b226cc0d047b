import type { RequestListener } from 'node:http'

/** Requests of a lane without an answer. The upper side sends one after another: further ones are on the way at most. */
export const MAX_REQUESTS_OF_LANE = 16

/** Ends a lane over which the upper side sends many requests without waiting for answers. */
export function boundRequestsOfLane(listener: RequestListener): RequestListener {
  const unanswered = new WeakMap<object, number>()
  return (request, response) => {
    const { socket } = request
    const count = (unanswered.get(socket) ?? 0) + 1
    if (count > MAX_REQUESTS_OF_LANE) socket.destroy()
    if (socket.destroyed) return // it is amid what was read of it
    unanswered.set(socket, count)
    response.once('close', () => unanswered.set(socket, (unanswered.get(socket) ?? 1) - 1))
    listener(request, response)
  }
}
