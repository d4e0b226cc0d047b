import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { makeRequest } from '../../src/membership/certificate-request.js'
import {
  DAY_MS,
  GRACE_MS,
  joinAs,
  joinRequest,
  LIFETIME_MS,
  makeMachine,
  refused,
  startMembers
} from '../support/parts/members.js'

test('a relay that is reached by an IPv6 address keeps it when its certificate is renewed', async t => {
  const root = await startMembers(t)
  const machine = makeMachine()
  const asked = await joinRequest(await root.token(), 'r6', machine, { hostname: '2001:db8:0:0::A' })
  await root.members.join(asked)
  root.clock.nowMs += (LIFETIME_MS * 3) / 4
  const { certificate } = await root.members.renew(asked.request)
  assert.notEqual(new X509Certificate(certificate).checkIP('2001:db8::a'), undefined)
})

test('a certificate is renewed for its own key once it is two thirds through, and not before', async t => {
  const root = await startMembers(t)
  const { machine, serial } = await joinAs(root, 'relay-1')
  const renew = async () => new X509Certificate((await root.members.renew(request)).certificate)
  const request = await makeRequest('relay-1', machine.tls)
  assert.equal((await renew()).serialNumber, serial)
  root.clock.nowMs += (LIFETIME_MS * 2) / 3
  const renewed = await renew()
  assert.notEqual(renewed.serialNumber, serial)
  assert.equal(renewed.subjectAltName, 'DNS:relay-1.example, URI:urn:treeline:purpose:relay')
  assert.equal((await renew()).serialNumber, renewed.serialNumber, 'asked again, it is the same one')
  const listed = async () => (await root.repository.certificatesOf('relay-1', root.clock.nowMs)).map(row => row.serial)
  assert.deepEqual(await listed(), [renewed.serialNumber, serial], 'both are good until the old one ends')
  root.clock.nowMs += LIFETIME_MS / 3 + DAY_MS
  assert.deepEqual(await listed(), [renewed.serialNumber])
})

test('a renewed certificate is not handed out before it is in the tree', async t => {
  const root = await startMembers(t)
  const { machine, serial } = await joinAs(root, 'relay-1')
  const request = await makeRequest('relay-1', machine.tls)
  root.clock.nowMs += (LIFETIME_MS * 2) / 3
  root.disk.isFull = true
  for (const time of ['first', 'again']) await assert.rejects(root.members.renew(request), /the disk is full/, time)
  root.disk.isFull = false
  const published = root.published()
  const { certificate } = await root.members.renew(request)
  assert.notEqual(new X509Certificate(certificate).serialNumber, serial)
  assert.equal(root.published(), published + 1)
})

test('a certificate that ended is renewed for its key within the grace, and the error says what to do after it', async t => {
  const root = await startMembers(t)
  const { machine, serial } = await joinAs(root, 'relay-1')
  const request = await makeRequest('relay-1', machine.tls)
  root.clock.nowMs += LIFETIME_MS + GRACE_MS - 1_000
  assert.deepEqual(await root.repository.certificatesOf('relay-1', root.clock.nowMs), [])
  await root.token() // what ended long ago is forgotten now
  const renewed = new X509Certificate((await root.members.renew(request)).certificate)
  assert.notEqual(renewed.serialNumber, serial)
  assert.ok(renewed.checkPrivateKey(machine.tls))
  root.clock.nowMs += LIFETIME_MS + GRACE_MS
  await assert.rejects(
    root.members.renew(request),
    refused('FORBIDDEN', /ended at 2026-.*tree\.renewal_grace: run `treeline token create --relay --id relay-1`/)
  )
  const again = await joinAs(root, 'relay-1', { memberId: 'relay-1' })
  await assert.rejects(root.members.renew(request), refused('FORBIDDEN', /not a member with this key/))
  root.clock.nowMs += LIFETIME_MS + DAY_MS
  await assert.rejects(root.members.renew(request), refused('FORBIDDEN', /not a member with this key/))
  await root.members.renew(await makeRequest('relay-1', again.machine.tls))
})

test('a certificate that was issued while the clock of the root was ahead is replaced once it is right', async t => {
  const root = await startMembers(t)
  root.clock.nowMs += 10 * DAY_MS
  const { machine, serial } = await joinAs(root, 'relay-1')
  const request = await makeRequest('relay-1', machine.tls)
  root.clock.nowMs -= 10 * DAY_MS
  const valid = new X509Certificate((await root.members.renew(request)).certificate)
  assert.notEqual(valid.serialNumber, serial)
  assert.ok(Date.parse(valid.validFrom) <= root.clock.nowMs)
  const again = new X509Certificate((await root.members.renew(request)).certificate)
  assert.equal(again.serialNumber, valid.serialNumber, 'asked again, it is the same one')
})

test("the root's own certificate can always be renewed: nobody could let it in again", async t => {
  const root = await startMembers(t)
  root.clock.nowMs += 10 * LIFETIME_MS
  await root.token()
  const { certificate } = await root.members.renew(await makeRequest('root', root.rootKey))
  assert.ok(Date.parse(new X509Certificate(certificate).validTo) > root.clock.nowMs)
})

test('nobody renews with another key, long after the end, or once removed', async t => {
  const root = await startMembers(t)
  const { machine } = await joinAs(root, 'relay-1')
  const request = await makeRequest('relay-1', machine.tls)
  const forged = await makeRequest('relay-1', makeMachine().tls)
  await assert.rejects(root.members.renew(forged), refused('FORBIDDEN', /not a member with this key/))
  root.clock.nowMs += LIFETIME_MS + GRACE_MS
  await assert.rejects(root.members.renew(request), refused('FORBIDDEN', /ended at/))
  await root.members.remove('relay-1')
  await assert.rejects(root.members.renew(request), refused('FORBIDDEN', /removed/))
})
