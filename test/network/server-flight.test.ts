import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { connect } from 'node:tls'
import { pathToFileURL } from 'node:url'
import { makeAgentCertificate } from '../../demo/pki.js'
import { boundServerFlight } from '../../src/network/tls/server-flight.js'
import { startRawPeer } from '../support/network/tls-peer.js'

test('a handshake goes on while the timers of its program are held', async t => {
  const { port } = await startRawPeer(
    t,
    await makeAgentCertificate({ nodeId: 'one', hostname: 'localhost' }),
    socket => void socket.resume()
  )
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const connection = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  t.after(() => connection.destroy())
  boundServerFlight(connection)
  await once(connection, 'secureConnect')
})

test('a handshake keeps its process running', async t => {
  const { port } = await startRawPeer(
    t,
    await makeAgentCertificate({ nodeId: 'one', hostname: 'localhost' }),
    socket => void socket.end('whole')
  )
  const module = pathToFileURL('src/network/tls/server-flight.ts').href
  const program = `
    import { connect } from 'node:tls'
    import { boundServerFlight } from ${JSON.stringify(module)}
    const connection = connect({ port: ${port}, host: '127.0.0.1', rejectUnauthorized: false })
    boundServerFlight(connection)
    connection.once('secureConnect', () => connection.pipe(process.stdout))`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program])
  t.after(() => child.kill())
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const [code] = await once(child, 'close')
  assert.deepEqual([code, text], [0, 'whole'])
})
