import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeAgentCertificate } from '../../demo/pki.js'
import type { TreeMember } from '../../demo/relay-tree.js'
import { ask } from '../support/network/http.js'
import { startTree } from '../support/relays/relay-tree.js'
import { signContent } from '../support/work/signed-files.js'

test('who may read a shared file, and how much of it', async t => {
  const tree = await startTree(t)
  const [root, relayA, sub, relayB] = ['root', 'relay-a', 'sub', 'relay-b'].map(id => tree.relay(id))
  assert.ok(root !== undefined && relayA !== undefined && sub !== undefined && relayB !== undefined)
  const target = tree.member('node-s1')
  const file = signContent('node-s1', tree.member('node-b1'), 'f', 'abcdefghij')
  assert.equal((await ask(relayB, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })).status, 200)
  const stranger: TreeMember = {
    ...target,
    id: 'stranger',
    certificate: await makeAgentCertificate({ nodeId: 'node-s1', hostname: 'x', kind: 'ec' })
  }

  await t.test('the target, from every relay above it', async () => {
    for (const relay of [root, relayA, sub]) {
      const got = await ask(relay, file.path, { as: target })
      assert.equal(got.status, 200, relay.id)
      assert.equal(got.text, 'abcdefghij')
      assert.equal(got.headers['content-type'], 'application/octet-stream')
      assert.equal(got.headers['content-length'], '10')
      assert.equal(got.headers['accept-ranges'], 'bytes')
      assert.equal(got.headers.etag, `"sha512:${file.hash}"`)
      assert.match(String(got.headers['treeline-relay']), /^\d+\.\d+\.\d+/)
      const metadata = String(Buffer.from(String(got.headers['treeline-file-metadata']), 'base64'))
      assert.equal(metadata, String(file.body.subarray(0, file.body.indexOf('\n\n') + 1)))
    }
  })

  await t.test('Range, ETag, If-Match and If-None-Match act through two hops', async () => {
    for (const relay of [root, sub]) {
      const read = (headers: Record<string, string>) => ask(relay, file.path, { as: target, headers })
      const etag = `"sha512:${file.hash}"`
      const part = await read({ range: 'bytes=2-5' })
      assert.deepEqual([part.status, part.text, part.headers['content-range']], [206, 'cdef', 'bytes 2-5/10'], relay.id)
      assert.equal((await read({ range: 'bytes=-3' })).text, 'hij')
      const none = await read({ range: 'bytes=50-' })
      assert.deepEqual([none.status, none.headers['content-range']], [416, 'bytes */10'], relay.id)
      assert.deepEqual(
        [none.text, none.headers['content-type']],
        ['no such range: the file has 10 bytes\n', 'text/plain; charset=utf-8']
      )
      const unchanged = await read({ 'if-none-match': etag })
      assert.deepEqual([unchanged.status, unchanged.text, unchanged.headers.etag], [304, '', etag], relay.id)
      assert.equal((await read({ 'if-none-match': '"sha512:00"' })).status, 200, relay.id)
      assert.equal((await read({ range: 'bytes=2-5', 'if-range': etag })).status, 206, relay.id)
      assert.equal((await read({ range: 'bytes=2-5', 'if-range': '"sha512:00"' })).status, 200, relay.id)
      assert.equal((await read({ range: 'bytes=2-5', 'if-match': `"sha512:00", ${etag}` })).status, 206, relay.id)
      const another = await read({ range: 'bytes=2-5', 'if-match': '"sha512:00"' })
      assert.equal(another.status, 412, relay.id)
      assert.equal(another.text, 'the file is not the one that If-Match or If-Unmodified-Since names\n')
    }
  })

  await t.test('Range, If-Match and If-None-Match of more than 64 parts: 400', async () => {
    const list = (count: number) => Array.from({ length: count }, (_, index) => `${index}-${index}`).join(',')
    const read = (path: string, name: string, text: string) =>
      ask(root, path, { as: target, headers: { [name]: name === 'range' ? `bytes=${text}` : text } })
    for (const path of [file.path, '/shared-folder/none']) {
      for (const name of ['range', 'if-match', 'if-none-match']) {
        const refused = await read(path, name, list(65))
        assert.equal(refused.status, 400, `${path} ${name}`)
        assert.match(refused.text, new RegExp(`^the header ${name} has more than 64 parts; send fewer\\n?$`))
        assert.notEqual((await read(path, name, list(64))).status, 400)
      }
    }
  })

  await t.test('a relay whose subtree holds the target, and the policy server', async () => {
    for (const [relay, id] of [
      [root, 'relay-a'],
      [root, 'sub'],
      [relayA, 'sub'],
      [sub, 'relay-a'],
      [relayA, 'root']
    ] as const) {
      const got = await ask(relay, file.path, { as: tree.member(id) })
      assert.equal(got.text, 'abcdefghij', `${relay.id} asked by ${id}`)
    }
  })

  await t.test('nobody else: another node, a relay beside it, a certificate that only claims to be', async () => {
    for (const as of ['node-s2', 'node-r1', 'relay-b'].map(id => tree.member(id))) {
      const got = await ask(root, file.path, { as })
      assert.equal(got.status, 403, as.id)
      assert.match(got.text, /general\.nodes_certs_file/)
    }
    for (const relay of [root, relayA, sub]) {
      const got = await ask(relay, file.path, { as: stranger })
      assert.equal(got.status, 403)
      assert.match(got.text, /general\.nodes_certs_file/)
    }
  })

  await t.test('local callers where it is kept, and unless they come through a proxy', async () => {
    assert.equal((await ask(sub, file.path)).text, 'abcdefghij')
    for (const relay of [root, relayA]) assert.equal((await ask(relay, file.path)).status, 403)
    const proxied = await ask(sub, file.path, { headers: { 'x-forwarded-for': '192.0.2.1' } })
    assert.equal(proxied.status, 403)
    assert.match(proxied.text, /general\.trusted_proxies/)
    const list = await ask(sub, '/shared-files/node-s1')
    assert.deepEqual(
      JSON.parse(list.text).files.map(({ file_id: id }: { file_id: string }) => id),
      ['f']
    )
    assert.equal((await ask(sub, '/shared-files/node-s1', { as: tree.member('node-s2') })).status, 403)
  })

  await t.test('it is never fetched upwards', async () => {
    for (const as of [undefined, tree.member('node-b1'), tree.member('relay-b'), tree.member('root')]) {
      const got = await ask(relayB, file.path, as === undefined ? {} : { as })
      assert.notEqual(got.status, 200)
      assert.doesNotMatch(got.text, /abcdefghij/)
    }
    assert.equal((await ask(relayB, file.path, { as: tree.member('root') })).status, 404)
  })

  await t.test('what is not there: 404, from every relay', async () => {
    for (const relay of [root, relayA, sub]) {
      assert.equal((await ask(relay, `${file.path}g`, { as: target })).status, 404)
    }
  })
})
