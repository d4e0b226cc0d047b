import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HopPlaces, MAX_CONNECTIONS_PER_NEIGHBOUR } from '../../src/hops/hop-places.js'
import { MAX_AT_ONCE as MAX_JOINS } from '../../src/membership/root/joining/join-admission.js'
import { MAX_PUTS_PER_HOP } from '../../src/shared-files/forwarding/forwarder.js'
import { MAX_HEADS_PER_HOP } from '../../src/shared-files/reading/head-file.js'
import { MAX_TRACES_PER_HOP } from '../../src/trace/trace.js'
import type { Caller } from '../../src/values/caller.js'

test('whatever is passed on for others leaves connections to a hop for the rest', () => {
  // a relay may have all joins, and nobody but local callers more than three quarters of the others
  const ofOthers = (3 / 4) * (MAX_HEADS_PER_HOP + MAX_PUTS_PER_HOP + MAX_TRACES_PER_HOP) + MAX_JOINS
  assert.ok(ofOthers < MAX_CONNECTIONS_PER_NEIGHBOUR, `${ofOthers} of ${MAX_CONNECTIONS_PER_NEIGHBOUR}`)
})

test('the places of one hop are no places of another one, and are shared by the neighbours that ask', () => {
  const places = new HopPlaces(16)
  const takeAll = (hop: string, caller: Caller) => {
    let taken = 0
    while (places.take(hop, caller) !== undefined) taken += 1
    return taken
  }
  const relay = (id: string): Caller => ({ kind: 'relay', id, address: '192.0.2.1' })
  assert.deepEqual([takeAll('a', relay('r1')), takeAll('a', relay('r2')), takeAll('b', relay('r1'))], [6, 3, 6])
  assert.equal(takeAll('a', { kind: 'policy-server', id: 'p', address: '192.0.2.2' }), 2)
  assert.equal(takeAll('a', { kind: 'local', address: '127.0.0.1' }), 5)
})
