import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { connect, type TLSSocket } from 'node:tls'
import { makeAgentCertificate } from '../../demo/pki.js'
import type { Revocations } from '../../src/keys/certificates/revocations.js'
import { holdToCertificate } from '../../src/keys/certificates/shown-certificate.js'
import { startRawPeer } from '../support/network/tls-peer.js'

const WORDS = {
  notPinned: (shown: string | undefined) => `${shown} is not pinned`,
  error: (why: string) => new Error(why)
}

/** A connection to a server, and the SHA-256 of the certificate that the server showed. */
async function connectionToPeer(t: TestContext): Promise<{ readonly socket: TLSSocket; readonly shown: string }> {
  const identity = await makeAgentCertificate({ nodeId: 'relay', hostname: 'localhost' })
  const peer = await startRawPeer(t, identity, () => undefined)
  const socket = connect({ host: '127.0.0.1', port: peer.port, rejectUnauthorized: false })
  t.after(() => socket.destroy())
  await once(socket, 'secureConnect')
  return { socket, shown: identity.fingerprint }
}

/** Revocations of which the test says when they come. */
class TestRevocations implements Revocations {
  readonly watched = new Map<string, (why: string) => void>()

  whyRevoked(): string | undefined {
    return undefined
  }

  watch(fingerprint: string, onRevoked: (why: string) => void): () => void {
    this.watched.set(fingerprint, onRevoked)
    return () => void this.watched.delete(fingerprint)
  }
}

test('a connection is ended when the certificate that the other side showed is revoked later', async t => {
  const { socket, shown } = await connectionToPeer(t)
  const revocations = new TestRevocations()
  assert.equal(holdToCertificate(socket, { pins: new Set([shown]), revocations }, WORDS), undefined)
  assert.deepEqual([...revocations.watched.keys()], [shown])
  const failed = once(socket, 'error')
  const closed = new Promise(resolve => socket.once('close', resolve)) // `once` would reject for the error
  revocations.watched.get(shown)?.('it was revoked')
  const [error] = (await failed) as [Error]
  assert.equal(error.message, 'it was revoked')
  await closed
  assert.equal(revocations.watched.size, 0, 'nothing is watched for a connection that has gone')
})

test('a connection is ended when the other side showed another certificate than one of those expected', async t => {
  const { socket, shown } = await connectionToPeer(t)
  const revocations = new TestRevocations()
  const refused = holdToCertificate(socket, { pins: new Set(['00'.repeat(32)]), revocations }, WORDS)
  assert.equal(refused?.message, `${shown} is not pinned`)
  assert.equal(socket.destroyed, true)
  assert.equal(revocations.watched.size, 0)
})
