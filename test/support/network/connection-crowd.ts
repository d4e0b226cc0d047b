import { connect, type Socket } from 'node:net'

/**
 * A process of its own, so that its file descriptors are not the test's: opens many connections, tells how many it got,
 * and holds them until its standard input ends. Arguments: port, count, what to send on each (may be empty).
 */
const [port = '0', count = '0', text = ''] = process.argv.slice(2)
const MOST_OPENING = 256

const open = new Set<Socket>()
let opening = 0
let begun = 0
let refused = 0

function openMore(): void {
  while (opening < MOST_OPENING && begun < Number(count)) {
    begun += 1
    opening += 1
    const socket = connect({ host: '127.0.0.1', port: Number(port) })
    socket.on('error', () => undefined)
    socket.on('connect', () => {
      open.add(socket)
      if (text !== '') socket.write(text)
      opened()
    })
    socket.on('close', () => {
      if (open.delete(socket)) return
      refused += 1
      opened()
    })
    socket.resume()
  }
}

function opened(): void {
  opening -= 1
  if (open.size + refused >= Number(count)) process.send?.({ open: open.size, refused })
  openMore()
}

process.on('disconnect', () => process.exit())
process.on('message', () => process.send?.({ open: open.size, refused }))
openMore()
