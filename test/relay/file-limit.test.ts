import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectionsOfEach } from '../../src/relay/listening/file-limit.js'

const ADDRESS = { host: '192.0.2.1', port: 1 }
const ONE = { listen: ADDRESS, proxyListen: undefined, httpsListen: undefined, socket: undefined }
const TWO = { ...ONE, listen: { host: 'localhost', port: 1 } }
const FIVE = { ...TWO, proxyListen: ADDRESS, httpsListen: ADDRESS, socket: '/run/treeline.sock' }

test('the connections of all listeners leave a quarter of the files that a process may open to its work', () => {
  for (const [listening, maxConnections, openFiles, expected] of [
    [ONE, 20_000, 65_536, 20_000],
    [ONE, 20_000, 1_024, 768],
    [ONE, 500, 1_024, 500],
    [ONE, 20_000, 128, 64],
    [ONE, 20_000, 64, 16],
    [ONE, 5, 10, 5],
    [TWO, 20_000, 1_024, 384],
    [FIVE, 20_000, 1_024, 153],
    [FIVE, 100, 1_024, 100],
    [FIVE, 20_000, 262_144, 20_000]
  ] as const) {
    const warned: unknown[] = []
    const logger = { warn: (facts: unknown) => void warned.push(facts) }
    const connections = connectionsOfEach({ ...listening, maxConnections }, logger, openFiles)
    assert.equal(connections, expected)
    const listeners = listening === FIVE ? 5 : listening === TWO ? 2 : 1
    assert.deepEqual(warned, expected < maxConnections ? [{ maxConnections, connections, listeners, openFiles }] : [])
  }
  const logger = { warn: () => assert.fail('by the limit of this process') }
  assert.equal(connectionsOfEach({ ...ONE, maxConnections: 10 }, logger), 10)
})
