import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { request as plainRequest } from 'node:http'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { encryptedPkcs1Pem } from '../../demo/agent-keys.js'
import { formatMetadata } from '../../src/keys/signatures/file-metadata.js'
import { type SigningKey, signFile, signingKeySpki } from '../../src/keys/signatures/sign-file.js'
import { ask } from '../support/network/http.js'
import { startTree } from '../support/relays/relay-tree.js'
import { editNodesList } from '../support/relays/tree-files.js'
import { type SignedFile, signContent } from '../support/work/signed-files.js'

const run = promisify(execFile)
const PASSPHRASE = 'Cfengine passphrase'

/** What an existing agent does, word for word: key, `short_pubkey`, algorithm, URL, and what it gives openssl and curl. */
const AGENT = `set -e
key=$1 short_pubkey=$2 algorithm=$3 url=$4 passin=$5 header=$6
cat > file.sign <<END
header=rudder-signature-v1
algorithm=$algorithm
digest=$(openssl dgst -$algorithm -hex -sign "$key" -passin "$passin" file | sed 's/.*= //')
hash_value=$(openssl dgst -$algorithm -hex file | sed 's/.*= //')
short_pubkey=$short_pubkey
hostname=node-s1.example.com
keydate=2018-10-31 18:21:43.653257143 +0100
keyid=B29D02BB
END
hash=$(sed -n 's/^hash_value=//p' file.sign)
head() { curl -s -k --tlsv1.3 --head -o /dev/null -w '%{http_code}\\n' "$url?hash=$hash"; }
head
cat file.sign <(echo) file | curl -s -k --tlsv1.3 -u rudder:rudder -X PUT --data-binary @- -o /dev/null \\
  -H 'Content-Type: application/octet-stream' -H "$header" -w '%{http_code}\\n' "$url?ttl=1day+2hours"
head
`

test('bodies in every form that is sent', async t => {
  const tree = await startTree(t)
  const sub = tree.relay('sub')
  const relayB = tree.relay('relay-b')
  const sender = tree.member('node-s1')
  const target = tree.member('node-b1')
  const make = (fileId: string, content: Buffer | string = `content of ${fileId}`) =>
    signContent('node-b1', sender, fileId, content)
  async function assertArrived(file: SignedFile) {
    const got = await ask(relayB, file.path, { as: target })
    assert.equal(got.status, 200, got.text)
    assert.deepEqual(got.body, file.content)
  }

  await t.test("an existing agent's shell line: openssl, cat, curl", async () => {
    const content = Buffer.from([...Array(3000).keys()].map(index => index % 256))
    await writeFile(join(tree.folder, 'file'), content)
    const encrypted = join(tree.folder, 'encrypted.key')
    await writeFile(encrypted, encryptedPkcs1Pem(sender.certificate, PASSPHRASE))
    const shortKey = sender.certificate.publicKeyPkcs1Base64 ?? ''
    const cases = [
      ['plain', 'sha512', sender.keyFile, 'pass:', 'X-Nothing:'],
      ['passphrase', 'sha256', encrypted, `pass:${PASSPHRASE}`, 'X-Nothing:'],
      ['expect', 'sha512', sender.keyFile, 'pass:', 'Expect: 100-continue'],
      ['chunked', 'sha1', sender.keyFile, 'pass:', 'Transfer-Encoding: chunked']
    ] as const
    for (const [name, algorithm, key, passin, header] of cases) {
      const file = make(name, content)
      const args = ['-c', AGENT, 'agent', key, shortKey, algorithm, sub.url + file.path, passin, header]
      const { stdout } = await run('bash', args, { cwd: tree.folder })
      assert.equal(stdout, '404\n200\n200\n', name)
      await assertArrived(file)
    }
  })

  await t.test('Expect: 100-continue is answered once all but the body is in order', async () => {
    const file = make('continue')
    const send = async (path: string) => {
      const headers = { expect: '100-continue', 'content-length': file.body.length }
      const request = plainRequest(sub.localUrl + path, { method: 'PUT', headers, agent: false })
      request.flushHeaders()
      let isContinued = false
      request.on('continue', () => {
        isContinued = true
        request.end(file.body)
      })
      const [response] = await once(request, 'response')
      response.resume()
      request.on('error', () => undefined)
      request.destroy()
      return [response.statusCode, isContinued]
    }
    assert.deepEqual(await send(`${file.path}?ttl=60`), [200, true])
    await assertArrived(file)
    assert.deepEqual(await send(`${file.path.replace('node-s1', 'stranger')}?ttl=60`), [404, false])
    assert.deepEqual(await send(`${file.path}?ttl=soon`), [400, true], 'the ttl comes after the signature')
  })

  await t.test('chunked, empty, binary, and large ones', async () => {
    const chunked = make('chunked-node', Buffer.alloc(300_000, 'abc'))
    const pieces = Readable.from([
      chunked.body.subarray(0, 10),
      chunked.body.subarray(10, 900),
      chunked.body.subarray(900)
    ])
    assert.equal((await ask(sub, `${chunked.path}?ttl=60`, { method: 'PUT', body: pieces })).status, 200)
    await assertArrived(chunked)
    for (const file of [
      make('empty', ''),
      make('blank', '\n\n\n'),
      make('large', Buffer.alloc(3_000_000, '\r\n\0x'))
    ]) {
      assert.equal((await ask(sub, `${file.path}?ttl=60`, { method: 'PUT', body: file.body })).status, 200)
      await assertArrived(file)
    }
  })

  await t.test('whatever the type of the content is called; but not coded', async () => {
    for (const [index, type] of ['', 'rubbish', 'application/json', 'application/x-www-form-urlencoded'].entries()) {
      const file = make(`type-${index}`)
      const headers = { 'content-type': type }
      assert.equal(
        (await ask(sub, `${file.path}?ttl=60`, { method: 'PUT', body: file.body, headers })).status,
        200,
        type
      )
      await assertArrived(file)
    }
    const file = make('gzip')
    const headers = { 'content-encoding': 'gzip' }
    assert.equal((await ask(sub, `${file.path}?ttl=60`, { method: 'PUT', body: file.body, headers })).status, 415)
  })

  await t.test('metadata in the query: the whole body is the file', async () => {
    for (const content of ['a=b\n\nno metadata', '']) {
      const file = make('query', content)
      const lines = String(file.body.subarray(0, file.body.indexOf('\n\n'))).split('\n')
      const query = new URLSearchParams(lines.map(line => line.split(/=(.*)/s, 2) as [string, string]))
      const answer = await ask(sub, `${file.path}?${query}&ttl=60`, { method: 'PUT', body: file.content })
      assert.equal(answer.status, 200, answer.text)
      await assertArrived(file)
    }
  })

  await t.test('free order, unknown keys, the old name of the key, ttl and expires among the lines', async () => {
    const file = make('lines')
    const end = file.body.indexOf('\n\n')
    const lines = String(file.body.subarray(0, end)).split('\n').reverse()
    const block = lines
      .filter(line => !/^(hostname|keydate|keyid)=/.test(line))
      .join('\n')
      .replace('short_pubkey', 'pubkey')
    const body = `${block}\nx-unknown=a=b\nttl=1h\nexpires=1\n\n${file.content}`
    assert.equal((await ask(sub, file.path, { method: 'PUT', body })).status, 200)
    const got = await ask(relayB, file.path, { as: target })
    assert.equal(got.text, String(file.content))
    const kept = String(Buffer.from(String(got.headers['treeline-file-metadata']), 'base64'))
    assert.match(kept, /^x-unknown=a=b$/m)
    assert.match(kept, /^pubkey=/m)
    assert.doesNotMatch(kept, /^expires=/m)
  })

  await t.test('every form of a ttl, counted in seconds', async () => {
    const forms: Record<string, number> = { '60': 60, '1day+2hours+3minute+4seconds': 93_784, '5h+3s': 18_003 }
    Object.assign(forms, {
      '1d2h3m4s': 93_784,
      '356%20days': 30_758_400,
      '1day2hours': 93_600,
      '7m': 420,
      '1h%203s': 3_603
    })
    const own = signContent('node-b1', target, 'ttl', 'x')
    for (const [ttl, seconds] of Object.entries(forms)) {
      const before = Date.now()
      const put = await ask(relayB, `${own.path}?ttl=${ttl}`, { method: 'PUT', body: own.body })
      assert.equal(put.status, 200, put.text)
      const { files } = JSON.parse((await ask(relayB, '/shared-files/node-b1?file_id=ttl')).text)
      const expiresAt = Date.parse(files[0].expires_at)
      assert.ok(
        expiresAt >= before + seconds * 1000 && expiresAt <= Date.now() + seconds * 1000,
        `${ttl}: ${expiresAt}`
      )
    }
  })

  await t.test('Ed25519: bound to its names, and an older one does not undo a newer one', async () => {
    const seed = createHash('sha256').update('a node').digest()
    const signingKey: SigningKey = { kind: 'ed25519', seed }
    const hash = createHash('sha256').update(signingKeySpki(signingKey)).digest('base64')
    for (const id of ['root', 'relay-a', 'sub']) {
      await editNodesList(tree.relay(id), nodes => {
        const node = nodes['node-s2']
        if (node !== undefined) node['key-hash'] = `sha256//${hash}`
      })
      assert.equal((await ask(tree.relay(id), '/system/reload', { method: 'POST' })).status, 200)
    }
    const sign = (content: string, signedAtMs: number) => {
      const key = { target: 'node-b1', source: 'node-s2', fileId: 'ed25519' }
      const hashValue = createHash('sha512').update(content).digest('hex')
      const metadata = signFile(signingKey, key, { algorithm: 'sha512', hashValue, signedAtMs })
      return { body: `${formatMetadata(metadata)}\n${content}`, hashValue }
    }
    const path = '/shared-files/node-b1/node-s2/ed25519'
    const put = (body: string, at = path) => ask(sub, `${at}?ttl=60`, { method: 'PUT', body })
    const newer = sign('newer', 2_000)
    const older = sign('older', 1_000)
    assert.equal((await put(newer.body)).status, 200)
    assert.equal((await put(older.body)).status, 200)
    assert.equal((await ask(relayB, path, { as: target })).text, 'newer')
    assert.equal((await put(newer.body, path.replace('node-b1', 'node-r1'))).status, 403)
    assert.equal((await put(newer.body, path.replace(/ed25519$/, 'renamed'))).status, 403)
  })
})
