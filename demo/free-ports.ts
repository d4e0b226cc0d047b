import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'

/** Ports of 127.0.0.1 that nobody listens on now. They are told apart by being held all at once. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports = await Promise.all(
    servers.map(async server => {
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const address: AddressInfo | string | null = server.address()
      if (address === null || typeof address === 'string') throw new Error('no TCP address')
      return address.port
    })
  )
  await Promise.all(
    servers.map(server => {
      server.close()
      return once(server, 'close')
    })
  )
  return ports
}
