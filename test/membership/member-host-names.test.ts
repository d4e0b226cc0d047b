import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { publicKeyOf } from '../../src/membership/setup/member-folder.js'
import { joinRequest, LIFETIME_MS, makeMachine, refused, startMembers } from '../support/parts/members.js'

test('the name of a node keeps no relay away, and a node gets the name of neither a relay nor the root', async t => {
  const root = await startMembers(t)
  const tokens = { node: await root.token({ kind: 'node', uses: 20 }), relay: await root.token({ uses: 20 }) }
  const attempt = async (kind: 'node' | 'relay', id: string, hostname: string, token = tokens[kind]) =>
    root.members.join(await joinRequest(token, id, makeMachine(), { hostname }))
  await attempt('node', 'a-node', 'future.example')
  await attempt('node', 'b-node', 'future.example')
  await attempt('relay', 'relay-1', 'future.example')
  await assert.rejects(attempt('relay', 'relay-2', 'future.example'), refused('CONFLICT', /that of relay-1; a relay/))
  const again = await root.token({ memberId: 'relay-1', uses: 2 })
  assert.equal((await attempt('relay', 'relay-1', 'future.example', again)).id, 'relay-1')
  for (const [hostname, owner] of [
    ['FUTURE.example.', 'relay-1'],
    ['root.example', 'the root'],
    ['Other.Example', 'the root']
  ] as const) {
    const taken = refused('CONFLICT', new RegExp(`that of ${owner}; join with another --host`))
    await assert.rejects(attempt('node', 'c-node', hostname), taken, hostname)
  }
  // a relay that joined as what a node was called already does not lock that node out either
  const nodeAgain = await root.token({ memberId: 'a-node', kind: 'node' })
  assert.equal((await attempt('node', 'a-node', 'future.example', nodeAgain)).id, 'a-node')
  const other = await root.token({ memberId: 'b-node', kind: 'node' })
  await assert.rejects(attempt('node', 'b-node', 'root.example', other), refused('CONFLICT', /that of the root/))
})

test('another spelling of a name or address of another relay is that name', async t => {
  const root = await startMembers(t)
  const token = await root.token({ uses: 20 })
  const attempt = async (id: string, hostname: string) =>
    root.members.join(await joinRequest(token, id, makeMachine(), { hostname }))
  await attempt('r4', '192.0.2.1')
  await attempt('r6', '2001:DB8:0::1')
  await attempt('r8', 'Bücher.example.')
  assert.deepEqual(
    await Promise.all(['r4', 'r6', 'r8'].map(async id => (await root.repository.member(id))?.hostname)),
    ['192.0.2.1', '2001:db8::1', 'xn--bcher-kva.example']
  )
  for (const name of ['root.example.', 'ROOT.Example.', 'Other.example.', 'ｒｏｏｔ.example']) {
    await assert.rejects(attempt('r2', name), refused('CONFLICT', /that of (the )?root/), name)
  }
  for (const [name, owner] of [
    ['::ffff:192.0.2.1', 'r4'],
    ['::ffff:c000:0201', 'r4'],
    ['2001:db8:0:0:0:0:0:1', 'r6'],
    ['2001:0DB8::0001', 'r6'],
    ['XN--BCHER-KVA.example', 'r8']
  ] as const) {
    await assert.rejects(attempt('r2', name), refused('CONFLICT', new RegExp(`that of ${owner};`)), name)
  }
  for (const name of ['192.0.513', '0xc0.0.2.1', '0300.0.2.1', '3221225985', 'root.example:443', '[2001:db8::1]']) {
    await assert.rejects(attempt('r2', name), refused('INVALID_INPUT', /invalid hostname/), name)
  }
  for (const name of [
    '::',
    '0:0:0:0:0:0:0:0',
    '0.0.0.0',
    '::ffff:0.0.0.0',
    '255.255.255.255',
    '224.0.0.1',
    'ff02::1'
  ]) {
    const unreachable = refused('INVALID_INPUT', /invalid hostname: .*; expected an address at which this machine can/)
    await assert.rejects(attempt('r2', name), unreachable, name)
  }
  const renewed = await root.authority.issue({
    id: 'r2',
    purpose: 'relay',
    hostnames: ['127.0.0.1'],
    publicKey: publicKeyOf(makeMachine().tls),
    nowMs: root.clock.nowMs,
    lifetimeMs: LIFETIME_MS
  })
  assert.equal(new X509Certificate(renewed).checkIP('127.0.0.1'), '127.0.0.1')
  const odd = {
    id: 'r2',
    purpose: 'relay',
    hostnames: ['root.example.'],
    publicKey: publicKeyOf(root.rootKey)
  } as const
  await assert.rejects(
    root.authority.issue({ ...odd, nowMs: root.clock.nowMs, lifetimeMs: LIFETIME_MS }),
    refused('CONFLICT', /no certificate is issued for the host name "root.example."/)
  )
})
