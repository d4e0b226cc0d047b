import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import type { TreeRelay } from '../../demo/relay-tree.js'
import { eventually } from '../support/eventually.js'
import { type Answer, ask } from '../support/network/http.js'
import { rawRequest } from '../support/network/raw-http.js'
import { startTree } from '../support/relays/relay-tree.js'
import { type SignedFile, signContent, withOtherDigest } from '../support/work/signed-files.js'

const MAX_BODY_BYTES = 100_000

function put(relay: TreeRelay, file: SignedFile, query = '?ttl=60', body: Buffer | Readable = file.body) {
  return ask(relay, file.path + query, { method: 'PUT', body })
}

function assertAnswer(answer: Answer, status: number, text: RegExp) {
  assert.equal(answer.status, status, answer.text)
  assert.match(answer.text, text)
  assert.match(answer.text, /^[^\n]+\n$/, 'one line')
}

/** The same file with other metadata lines. */
function edited(file: SignedFile, edit: (lines: string) => string): SignedFile {
  const end = file.body.indexOf('\n\n')
  const lines = edit(String(file.body.subarray(0, end)))
  return { ...file, body: Buffer.concat([Buffer.from(lines), file.body.subarray(end)]) }
}

test('every row of the table of answers', async t => {
  const tree = await startTree(t, { settings: { shared_files: [`max_body_size = ${MAX_BODY_BYTES}`] } })
  const [root, relayA, sub, relayB] = ['root', 'relay-a', 'sub', 'relay-b'].map(id => tree.relay(id))
  assert.ok(root !== undefined && relayA !== undefined && sub !== undefined && relayB !== undefined)
  const sender = tree.member('node-s1')
  const make = (fileId: string, target = 'node-b1') => signContent(target, sender, fileId, `content of ${fileId}`)

  await t.test('a target that nobody knows: 404 from the root, whoever was asked', async () => {
    const file = make('f', 'stranger')
    for (const relay of [sub, relayA, root]) {
      assertAnswer(await put(relay, file), 404, /unknown target: stranger/)
      assert.equal((await ask(relay, `${file.path}?hash=${file.hash}`, { method: 'HEAD' })).status, 404)
    }
  })

  await t.test('a source that is not known, or whose key it is not: 404', async () => {
    const stranger = signContent('node-s1', { ...sender, id: 'stranger' }, 'f', 'x')
    assertAnswer(await put(sub, stranger), 404, /unknown source: stranger/)
    const elsewhere = signContent('node-s1', tree.member('node-b1'), 'f', 'x')
    assertAnswer(await put(sub, elsewhere), 404, /unknown source: node-b1/)
    const otherKey = signContent('node-b1', { ...tree.member('node-s2'), id: 'node-s1' }, 'f', 'x')
    for (const relay of [sub, root])
      assertAnswer(await put(relay, otherKey), 404, /signed with another key than that of node-s1/)
  })

  await t.test('a bad signature, or bytes that are not those of hash_value: 403', async () => {
    const file = make('forged')
    const longer = { ...file, body: Buffer.concat([file.body, Buffer.from('!')]) }
    assertAnswer(await put(sub, longer), 403, /hash_value/)
    const digest = edited(file, withOtherDigest)
    assertAnswer(await put(sub, digest), 403, /digest is not a signature/)
    const other = make('other')
    const swapped = edited(file, lines => lines.replace(file.hash, other.hash))
    assertAnswer(await put(sub, swapped), 403, /hash_value/)
  })

  await t.test('malformed ids: 400, encoded or not', async () => {
    const long = 'x'.repeat(129)
    const paths = ['%2e%2e/node-s1/f', '..%2Fx/node-s1/f', '%2e/node-s1/f', 'node-b1/node-s1/%00', 'a%20b/node-s1/f']
    paths.push('node-b1/node-s1/f.metadata', 'node-b1/node-s1/f.MetaData', 'node-b1/node-s1/.%2e', 'node~/node-s1/f')
    paths.push(`${long}/node-s1/f`, `node-b1/${long}/f`, `node-b1/node-s1/${'x'.repeat(201)}`, 'node-b1/%C3%A4/f')
    for (const path of paths) {
      for (const method of ['PUT', 'HEAD', 'GET']) {
        const length = method === 'PUT' ? ['Content-Length: 0'] : []
        const answer = await rawRequest(sub, method, `/rudder/relay-api/shared-files/${path}?ttl=60&hash=00`, length)
        assert.equal(answer.status, 400, `${method} ${path}: ${answer.text}`)
      }
    }
    const longest = signContent('node-s2', sender, 'x'.repeat(200), 'as long as it may be')
    assert.equal((await put(sub, longest)).status, 200)
  })

  await t.test('malformed metadata: 400, and why', async () => {
    const file = make('malformed')
    const cases: [RegExp, (lines: string) => string][] = [
      [/header is missing/, lines => lines.replace(/^header=.*\n/, '')],
      [/header should be rudder-signature-v1/, lines => lines.replace('signature-v1', 'signature-v2')],
      [/algorithm should be/, lines => lines.replace('sha512', 'md5')],
      [/"keyid" is there twice/, lines => `${lines}\nkeyid=B29D02BB`],
      [/is not key=value/, lines => `${lines}\nrubbish`],
      [/digest should be/, lines => lines.replace(/digest=.*/, 'digest=xyz')],
      [/hash_value should be/, lines => lines.replace(/hash_value=.*/, 'hash_value=00')],
      [/short_pubkey is missing/, lines => lines.replace(/short_pubkey=.*\n/, '')]
    ]
    for (const [why, edit] of cases) assertAnswer(await put(sub, edited(file, edit)), 400, why)
    const endless = Buffer.from(`header=rudder-signature-v1\nx=${'x'.repeat(70_000)}`)
    assertAnswer(await put(sub, file, '?ttl=60', endless), 400, /65536/)
    assert.equal((await put(sub, file, '?ttl=60', Buffer.from('no end'))).status, 400)
    assert.equal((await put(sub, file, '?ttl=60', Buffer.alloc(0))).status, 400)
  })

  await t.test('a ttl that is missing, or none: 400', async () => {
    const file = make('ttl')
    for (const ttl of [
      '',
      '?ttl=',
      '?ttl=soon',
      '?ttl=-1d',
      '?ttl=1.5h',
      '?ttl=3s+5h',
      '?ttl=5w',
      '?ttl=99999999999d'
    ]) {
      assertAnswer(await put(sub, file, ttl), 400, /ttl/)
    }
  })

  await t.test('too large: 413, whether the length was told or not', async () => {
    const file = signContent('node-b1', sender, 'large', Buffer.alloc(MAX_BODY_BYTES))
    assertAnswer(await put(sub, file), 413, /100000/)
    assertAnswer(await put(sub, file, '?ttl=60', Readable.from([file.body])), 413, /100000/)
  })

  await t.test('a request line beyond 16 KiB: 431', async () => {
    const path = `/rudder/relay-api/shared-files/node-b1/node-s1/f?ttl=60&x=${'x'.repeat(17 * 1024)}`
    assert.equal((await rawRequest(sub, 'HEAD', path)).status, 431)
  })

  await t.test('nothing of all that was stored anywhere', async () => {
    for (const relay of tree.relays.values()) {
      for (const name of await readdir(relay.sharedFilesPath)) {
        if (['node-s2', '.lock~', '.node-id~'].includes(name)) continue // the last two are files of the relay's own
        assert.deepEqual(await readdir(join(relay.sharedFilesPath, name)), [], `${relay.id}/${name}`)
      }
    }
  })

  await t.test('a ttl of 0: taken, and past its time at once', async () => {
    const file = make('at-once', 'node-s1')
    assert.equal((await put(sub, file, '?ttl=60')).status, 200)
    assert.equal((await ask(sub, `${file.path}?hash=${file.hash}`, { method: 'HEAD' })).status, 200)
    assert.equal((await put(sub, file, '?ttl=0')).status, 200)
    assert.equal((await ask(sub, `${file.path}?hash=${file.hash}`, { method: 'HEAD' })).status, 404)
    assert.equal((await put(sub, make('beyond'), '?ttl=0s')).status, 200, 'also on its way')
  })

  await t.test(
    'passed on, a file may be as large as the body that it was, whose metadata came in the query',
    async () => {
      const inQuery = ({ body, content }: SignedFile) => {
        const lines = String(body.subarray(0, body.length - content.length))
          .trim()
          .split('\n')
        return `?ttl=60&${new URLSearchParams(Object.fromEntries(lines.map(line => line.split(/=(.*)/s, 2))))}`
      }
      const largest = signContent('node-b1', sender, 'largest', Buffer.alloc(MAX_BODY_BYTES))
      const answer = await put(sub, largest, inQuery(largest), largest.content)
      assert.deepEqual([answer.status, answer.text], [200, ''])
      const kept = await readFile(join(relayB.sharedFilesPath, 'node-b1/files/node-s1/largest'))
      assert.ok(kept.equals(largest.content))
      const beyond = signContent('node-b1', sender, 'beyond', Buffer.alloc(MAX_BODY_BYTES + 1))
      assertAnswer(await put(sub, beyond, inQuery(beyond), beyond.content), 413, /100000/)
      const passedOn = { 'treeline-accepted-at': '1' }
      const huge = Buffer.concat([beyond.body, Buffer.alloc(100_000)])
      for (const body of [beyond.body, huge, Readable.from([beyond.body]), Readable.from([huge])]) {
        const claimed = await ask(sub, `${beyond.path}?ttl=60`, { method: 'PUT', body, headers: passedOn })
        assertAnswer(claimed, 413, /100000/)
      }
    }
  )

  await t.test('HEAD: 200 for the same hash alone', async () => {
    const file = make('head')
    assert.equal((await put(sub, file)).status, 200)
    for (const relay of [sub, relayA, root, relayB]) {
      const head = async (query: string) => {
        const answer = await ask(relay, file.path + query, { method: 'HEAD' })
        assert.equal(answer.text, '')
        return answer.status
      }
      assert.equal(await head(`?hash=${file.hash}`), 200, relay.id)
      for (const other of ['', '?hash=', '?hash=00', `?hash=${file.hash}00`, `?hash_value=${file.hash}`]) {
        assert.equal(await head(other), 404, relay.id + other)
      }
    }
  })

  await t.test('past its time a file counts as not there, purged or not', async () => {
    const file = make('short')
    assert.equal((await put(sub, file, '?ttl=1s')).status, 200)
    const head = () => ask(sub, `${file.path}?hash=${file.hash}`, { method: 'HEAD' })
    await eventually('the end of its time', async () => (await head()).status === 404)
    assert.equal((await ask(relayB, file.path, { as: tree.member('node-b1') })).status, 404)
    assert.equal(
      String(await readFile(join(relayB.sharedFilesPath, 'node-b1/files/node-s1/short'))),
      'content of short'
    )
  })
})
