// A service that reads all bodies, and takes each offer of an upgrade.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const server = createServer((request, response) => {
  request.resume()
  request.once('end', () => response.end())
})
server.on('upgrade', (_request, socket) => {
  socket.on('error', () => undefined)
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
  socket.pipe(socket)
})
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
