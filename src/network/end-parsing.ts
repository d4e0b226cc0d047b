import type { Socket } from 'node:net'

/** The names of the callbacks of Node's parser, whose numbers its class knows. */
const CALLBACKS = ['kOnHeaders', 'kOnHeadersComplete', 'kOnBody', 'kOnMessageComplete']

/** Connections without callbacks. One that others destroyed has them still. */
const ended = new WeakSet<Socket>()

/**
 * Destroys a connection at once. Node's parser would go on to the end of what was read, and call for each thing that it
 * finds, also when the connection is destroyed meanwhile: it gets nobody to call.
 */
export function endParsing(socket: Socket): void {
  if (!ended.has(socket) && 'parser' in socket) silence(socket, socket.parser)
  ended.add(socket)
  socket.destroy()
}

function silence(socket: Socket, parser: unknown): void {
  if (typeof parser !== 'object' || parser === null) return
  const callbacks = new Map<number, unknown>()
  for (const name of CALLBACKS) {
    const index: unknown = Reflect.get(parser.constructor, name)
    if (typeof index !== 'number') continue
    callbacks.set(index, Reflect.get(parser, index))
    Reflect.set(parser, index, undefined)
  }
  // First of all: Node gives the parser to another connection then.
  socket.prependOnceListener('close', () => {
    for (const [index, callback] of callbacks) Reflect.set(parser, index, callback)
  })
}
