import assert from 'node:assert/strict'
import { webcrypto, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { makeRequest } from '../../src/membership/certificate-request.js'
import { publicKeyOf } from '../../src/membership/setup/member-folder.js'
import { USER_ID_OID, x509 } from '../../src/membership/x509.js'
import { MAX_CHAIN_LENGTH } from '../../src/tree/import/chain-check.js'
import { joinAs, joinRequest, LIFETIME_MS, makeMachine, refused, startMembers } from '../support/parts/members.js'

async function requestOnP384(id: string): Promise<Buffer> {
  const { Pkcs10CertificateRequestGenerator } = await x509()
  const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-384' }, false, ['sign', 'verify'])
  const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-384' }
  const name = [{ [USER_ID_OID]: [id] }]
  return Buffer.from((await Pkcs10CertificateRequestGenerator.create({ name, keys, signingAlgorithm })).rawData)
}

test('who joins is a member where the token says, with a certificate that says who it is and for what', async t => {
  const root = await startMembers(t)
  const { machine, ...answer } = await joinAs(root, 'relay-1')
  const certificate = new X509Certificate(answer.certificate)
  assert.match(certificate.subject, /^UID=relay-1$/)
  assert.equal(certificate.subjectAltName, 'DNS:relay-1.example, URI:urn:treeline:purpose:relay')
  assert.ok(certificate.checkIssued(new X509Certificate(answer.ca)))
  assert.ok(certificate.verify(new X509Certificate(root.authority.certificate).publicKey))
  assert.ok(certificate.checkPrivateKey(machine.tls))
  assert.equal(answer.policyServer.hostname, 'root.example')
  const member = await root.repository.member('relay-1')
  assert.equal(member?.policyServer, 'root')
  assert.match(member?.keyHash ?? '', /^sha256\/\//)
  assert.equal(root.published(), 1)

  const node = await joinAs(root, 'node-1', { kind: 'node', policyServer: 'relay-1' })
  const nodeCertificate = new X509Certificate(node.certificate)
  assert.equal(nodeCertificate.subjectAltName, 'URI:urn:treeline:purpose:node')
  assert.deepEqual(nodeCertificate.keyUsage, ['1.3.6.1.5.5.7.3.2'], 'it cannot pass for a server')
  assert.equal(node.policyServer.id, 'relay-1')
  assert.equal((await root.repository.member('node-1'))?.port, undefined)
})

test('a token is used up, expires, is revoked, and says so; an unknown one is only unknown', async t => {
  const root = await startMembers(t)
  const used = await root.token()
  await root.members.join(await joinRequest(used, 'relay-1'))
  await assert.rejects(root.members.join(await joinRequest(used, 'relay-2')), refused('FORBIDDEN', /as often as/))
  const revoked = await root.token()
  await root.members.revokeToken(revoked.split('.')[0] ?? '')
  await assert.rejects(root.members.join(await joinRequest(revoked, 'relay-2')), refused('FORBIDDEN', /was revoked/))
  const expired = await root.token({ lifetimeMs: 1_000 })
  root.clock.nowMs += 1_000
  await assert.rejects(
    root.members.join(await joinRequest(expired, 'relay-2')),
    refused('FORBIDDEN', /expired at 2026/)
  )
  const [id, secret = ''] = (await root.token()).split('.')
  const wrong = `${id}.${secret[0] === 'A' ? 'B' : 'A'}${secret.slice(1)}`
  for (const text of [wrong, `${'0'.repeat(12)}.${secret}`, 'nonsense', '']) {
    await assert.rejects(root.members.join(await joinRequest(text, 'relay-2')), refused('FORBIDDEN', /is not known/))
  }
  assert.equal(await root.repository.member('relay-2'), undefined)
})

test('a token of several uses admits so many, however many ask at once', async t => {
  const root = await startMembers(t)
  const token = await root.token({ uses: 3 })
  const asked = await Promise.all(Array.from({ length: 8 }, (_, n) => joinRequest(token, `relay-${n}`)))
  const results = await Promise.allSettled(asked.map(request => root.members.join(request)))
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 3)
  assert.equal(await root.repository.memberCount(), 4)
})

test('a join that is ended while its certificate is made leaves no trace, and its token good', async t => {
  const root = await startMembers(t)
  const token = await root.token()
  const ending = new AbortController()
  const joining = root.members.join(await joinRequest(token, 'relay-1'), { signal: ending.signal })
  ending.abort(new Error('ended'))
  await assert.rejects(joining, /^Error: ended$/)
  assert.equal(await root.repository.member('relay-1'), undefined)
  assert.equal((await root.members.join(await joinRequest(token, 'relay-2'))).id, 'relay-2')
})

test('one id asked for by two at once is given to one of them', async t => {
  const root = await startMembers(t)
  const token = await root.token({ uses: 2, kind: 'node' })
  const asked = await Promise.all([joinRequest(token, 'same'), joinRequest(token, 'same')])
  const results = await Promise.allSettled(asked.map(request => root.members.join(request)))
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
  assert.equal((await root.repository.token(token.split('.')[0] ?? ''))?.usesLeft, 1)
})

test('an id that exists, a reserved one, a malformed one, a host name of another relay: all refused', async t => {
  const root = await startMembers(t)
  await joinAs(root, 'relay-1')
  const token = await root.token({ uses: 20 })
  const attempt = async (id: string, changes = {}) =>
    root.members.join(await joinRequest(token, id, makeMachine(), changes))
  await assert.rejects(attempt('relay-1'), refused('CONFLICT', /there is a member relay-1/))
  await assert.rejects(attempt('root'), refused('CONFLICT', /reserved/))
  await assert.rejects(attempt('policy-server'), refused('CONFLICT', /reserved/))
  await assert.rejects(attempt('a/b'), refused('INVALID_INPUT', /node id/))
  await assert.rejects(attempt('r2', { hostname: '-x' }), refused('INVALID_INPUT', /hostname/))
  await assert.rejects(attempt('r2', { hostname: 'RELAY-1.example' }), refused('CONFLICT', /that of relay-1/))
  await assert.rejects(attempt('r2', { hostname: 'other.example' }), refused('CONFLICT', /that of the root/))
  await assert.rejects(attempt('r2', { port: undefined }), refused('INVALID_INPUT', /port/))
  const stranger = publicKeyOf(makeMachine().signing)
  await assert.rejects(attempt('r2', { signingKey: stranger }), refused('INVALID_INPUT', /signing key/))
  const request = await makeRequest('r3', makeMachine().tls)
  await assert.rejects(attempt('r2', { request }), refused('INVALID_INPUT', /for another id/))
  const changed = Buffer.from(await makeRequest('r2', makeMachine().tls))
  changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1
  await assert.rejects(attempt('r2', { request: changed }), refused('INVALID_INPUT', /certificate request/))
  await assert.rejects(attempt('r2', { request: await requestOnP384('r2') }), refused('INVALID_INPUT', /P-256/))
  assert.equal((await root.repository.token(token.split('.')[0] ?? ''))?.usesLeft, 20, 'no use is lost by it')
})

test('a join whose answer was lost is answered again, without a further use', async t => {
  const root = await startMembers(t)
  const asked = await joinRequest(await root.token(), 'relay-1')
  const first = await root.members.join(asked)
  assert.deepEqual(await root.members.join(asked), first)
  assert.equal((await root.repository.certificatesOf('relay-1', root.clock.nowMs)).length, 1)
})

test('a member that asks for one answer again and again is told to wait, and no other one is', async t => {
  const root = await startMembers(t)
  const token = await root.token({ uses: 2 })
  const machine = makeMachine()
  const asked = await joinRequest(token, 'relay-1', machine)
  const renewal = await makeRequest('relay-1', machine.tls)
  const first = await root.members.join(asked)
  for (const again of [() => root.members.join(asked), () => root.members.renew(renewal)]) {
    for (let count = 0; count < 60; count += 1) assert.deepEqual(await again(), first)
    await assert.rejects(again(), refused('BUSY', /answered 60 times already; wait 60 s/))
  }
  const other = await joinRequest(token, 'relay-2')
  assert.equal((await root.members.join(other)).id, 'relay-2')
  assert.equal((await root.members.join(other)).id, 'relay-2', 'one that lost its answer')
  root.clock.uptimeMs += 60_000
  assert.deepEqual(await root.members.join(asked), first)
  root.clock.nowMs += LIFETIME_MS * 0.9
  for (let count = 0; count < 60; count += 1) await root.members.renew(renewal)
})

test('a renewal that is asked for many times at once is issued once, and each is answered with it', async t => {
  const root = await startMembers(t)
  const { machine } = await joinAs(root, 'relay-1')
  const request = await makeRequest('relay-1', machine.tls)
  root.clock.nowMs += LIFETIME_MS * 0.7
  const before = root.published()
  const answers = await Promise.all(Array.from({ length: 20 }, () => root.members.renew(request)))
  assert.equal(new Set(answers.map(({ certificate }) => certificate)).size, 1)
  assert.equal((await root.repository.certificatesOf('relay-1', root.clock.nowMs)).length, 2)
  assert.equal(root.published(), before + 1)
})

test('what is removed stays revoked when its id joins again', async t => {
  const root = await startMembers(t)
  const first = await joinAs(root, 'relay-1')
  await root.members.remove('relay-1')
  assert.deepEqual(await root.repository.certificatesOf('relay-1', root.clock.nowMs), [])
  const second = await joinAs(root, 'relay-1')
  const listed = (await root.repository.certificatesOf('relay-1', root.clock.nowMs)).map(row => row.serial)
  assert.deepEqual(listed, [second.serial])
  assert.notEqual(second.serial, first.serial)
  await assert.rejects(root.members.remove('relay-2'), refused('UNKNOWN_NODE', /relay-2/))
  await assert.rejects(root.members.remove('root'), refused('CONFLICT', /root/))
})

test('what is removed does not come back with a token that was made for its id', async t => {
  const root = await startMembers(t)
  await joinAs(root, 'relay-1')
  const spare = await root.token({ memberId: 'relay-1', policyServer: undefined, uses: 2 })
  await root.members.remove('relay-1')
  await assert.rejects(root.members.join(await joinRequest(spare, 'relay-1')), refused('FORBIDDEN', /was revoked/))
  const fresh = await root.token({ memberId: 'relay-1' })
  await root.members.join(await joinRequest(fresh, 'relay-1'))
})

test('a relay with others under it is not removed', async t => {
  const root = await startMembers(t)
  await joinAs(root, 'relay-1')
  await joinAs(root, 'node-1', { kind: 'node', policyServer: 'relay-1' })
  await assert.rejects(root.members.remove('relay-1'), refused('CONFLICT', /policy server of 1/))
  await root.members.move('node-1', 'root')
  await root.members.remove('relay-1')
})

test('a token for one id lets that member join anew, where it is, with all below it', async t => {
  const root = await startMembers(t)
  await joinAs(root, 'relay-1')
  const old = await joinAs(root, 'relay-2', { policyServer: 'relay-1' })
  await joinAs(root, 'node-1', { kind: 'node', policyServer: 'relay-2' })
  const token = await root.token({ memberId: 'relay-2', policyServer: undefined })
  await assert.rejects(
    root.members.join(await joinRequest(token, 'relay-3')),
    refused('FORBIDDEN', /for relay-2 alone, and this machine asks to join as relay-3: add --id relay-2/)
  )
  const answer = await root.members.join(await joinRequest(token, 'relay-2'))
  assert.equal(answer.kind, 'relay')
  assert.equal(answer.policyServer.id, 'relay-1')
  assert.equal(await root.repository.countUnder('relay-2'), 1)
  const listed = (await root.repository.certificatesOf('relay-2', root.clock.nowMs)).map(row => row.serial)
  assert.deepEqual(listed, [new X509Certificate(answer.certificate).serialNumber])
  const request = await makeRequest('relay-2', old.machine.tls)
  await assert.rejects(root.members.renew(request), refused('FORBIDDEN', /not a member with this key/))
})

test('a token for a member is refused when it asks for another kind or place, and so is joining with an older one', async t => {
  const root = await startMembers(t)
  const early = await root.token({ memberId: 'relay-2', kind: 'node' })
  await joinAs(root, 'relay-1')
  await joinAs(root, 'relay-2', { policyServer: 'relay-1' })
  await joinAs(root, 'node-1', { kind: 'node', policyServer: 'relay-2' })
  const asRelay = { memberId: 'node-1', kind: 'relay', policyServer: undefined } as const
  await assert.rejects(root.token(asRelay), refused('CONFLICT', /node-1 is a member, and a node.* with --node/))
  const asNode = { memberId: 'relay-2', kind: 'node', policyServer: undefined } as const
  await assert.rejects(root.token(asNode), refused('CONFLICT', /relay-2 is a member, and a relay.* with --relay/))
  const elsewhere = { memberId: 'relay-2', policyServer: 'root' }
  const isUnder = refused('CONFLICT', /relay-2 is under relay-1.*nodes move relay-2 --under root/)
  await assert.rejects(root.token(elsewhere), isUnder)
  await root.token({ memberId: 'relay-2', policyServer: 'relay-1' })
  const join = root.members.join(await joinRequest(early, 'relay-2'))
  await assert.rejects(join, refused('CONFLICT', /relay-2 is a member, and a relay/))
  assert.equal((await root.repository.member('relay-2'))?.kind, 'relay')
})

test('moving refuses cycles, policy servers that are nodes, and chains that would be too long', async t => {
  const root = await startMembers(t)
  let above = 'root'
  for (let n = 1; n < MAX_CHAIN_LENGTH; n++) {
    await joinAs(root, `relay-${n}`, { policyServer: above })
    above = `relay-${n}`
  }
  await joinAs(root, 'side')
  await joinAs(root, 'below-side', { policyServer: 'side' })
  await joinAs(root, 'leaf', { kind: 'node', policyServer: 'below-side' })
  await assert.rejects(root.members.move('side', above), refused('CONFLICT', /22 policy servers/))
  await assert.rejects(root.members.move('relay-3', 'relay-7'), refused('CONFLICT', /cycle/))
  await assert.rejects(root.members.move('side', 'side'), refused('CONFLICT', /cycle/))
  await assert.rejects(root.members.move('side', 'leaf'), refused('CONFLICT', /only relays/))
  await assert.rejects(root.members.move('side', 'nobody'), refused('UNKNOWN_NODE', /nobody/))
  await assert.rejects(root.members.move('root', 'side'), refused('CONFLICT', /root/))
  assert.deepEqual(await root.members.move('side', 'relay-17'), { hostname: 'relay-17.example', port: 443 })
  assert.equal((await root.repository.member('side'))?.policyServer, 'relay-17')
  await joinAs(root, 'deepest', { kind: 'node', policyServer: above })
  await joinAs(root, 'last-relay', { policyServer: above })
  await assert.rejects(
    joinAs(root, 'too-deep', { kind: 'node', policyServer: 'last-relay' }),
    refused('CONFLICT', /21 policy servers/)
  )
})

test('a member that was removed when the tree could not be written can be removed again, until it is out of the tree', async t => {
  const root = await startMembers(t)
  await joinAs(root, 'relay-1')
  root.inTree.add('relay-1')
  await root.members.remove('relay-1')
  const before = root.published()
  await root.members.remove('relay-1')
  assert.equal(root.published(), before + 1)
  root.inTree.delete('relay-1')
  await assert.rejects(root.members.remove('relay-1'), refused('UNKNOWN_NODE', /relay-1 is not a member/))
})
