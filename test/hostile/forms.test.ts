import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, postForm } from '../support/network/http.js'
import { exchangeRaw, head, rawClient, statusesIn } from '../support/network/raw-client.js'
import { assertServes } from '../support/relays/relay-health.js'
import { startTree } from '../support/relays/relay-tree.js'

const ROOT_ALONE = [{ id: 'root', under: 'root', nodes: ['n1', 'n2'] }]
const NODES = '/rudder/relay-api/remote-run/nodes'
const TOO_MANY = 'too many conditions: 198889 characters, at most 65536 characters are allowed\n'
const MIB = 1024 * 1024

test('forms that are huge, doubled or no forms', async t => {
  const tree = await startTree(t, { relays: ROOT_ALONE })
  const relay = tree.relay('root')
  const post = (body: string | Buffer, type = 'application/x-www-form-urlencoded') =>
    ask(relay, NODES, { method: 'POST', headers: { 'content-type': type }, body })
  const runs = async () => JSON.parse((await ask(relay, '/runs')).text).runs.length

  await t.test('over 1 MiB: 413, read by a client that sends all of it first', async () => {
    for (const size of [MIB + 1, 20 * MIB]) {
      const answer = await post(Buffer.alloc(size, 'a'))
      assert.equal(answer.status, 413)
    }
  })

  await t.test('a sender that waits for "100 Continue" gets it once all but the form is in order', async t => {
    const send = async (type: string) => {
      const client = await rawClient(t, relay)
      const lines = ['Host: localhost', 'Connection: close', `Content-Type: ${type}`, 'Content-Length: 6']
      client.send(head(`POST ${NODES} HTTP/1.1`, ...lines, 'Expect: 100-continue'))
      if (/ 100 Continue/.test(await client.until(/\r\n\r\n/))) client.send('nodes=')
      return statusesIn(await client.closed)
    }
    assert.deepEqual(await send('application/x-www-form-urlencoded'), [100, 400])
    assert.deepEqual(await send('text/plain'), [415])
    const old = ['Content-Type: application/x-www-form-urlencoded', 'Content-Length: 6', 'Expect: 100-continue']
    const answer = await exchangeRaw(t, relay, `${head(`POST ${NODES} HTTP/1.0`, 'Host: localhost', ...old)}nodes=`)
    assert.deepEqual(statusesIn(answer), [400], 'a sender of HTTP/1.0 does not wait')
    const none = old.map(line => line.replace('x-www-form-urlencoded', 'json'))
    const refused = await exchangeRaw(t, relay, `${head(`POST ${NODES} HTTP/1.0`, 'Host: localhost', ...none)}nodes=`)
    assert.deepEqual(statusesIn(refused), [415])
  })

  await t.test('a MiB of fields: an answer, soon', async () => {
    const fields = Array.from({ length: 100_000 }, (_, index) => `f${index}=1`).join('&')
    for (const form of [fields, 'nodes=n1&'.repeat(100_000)]) {
      const answer = await post(form)
      assert.deepEqual([answer.status, answer.text], [400, 'the form has more than 1000 fields\n'])
    }
    const some = Array.from({ length: 999 }, (_, index) => `f${index}=1`).join('&')
    assert.deepEqual([(await post(some)).text, (await post(`nodes=&${some}`)).status], ['Missing nodes\n', 400])
  })

  await t.test('a MiB of blanks within an id: an answer, soon', async () => {
    const { status, text } = await post(`nodes=x${'+'.repeat(MIB - 100)}x`)
    assert.equal(status, 400)
    assert.match(text, /^invalid node id: "x /)
  })

  await t.test('a field twice: 400 that names it', async () => {
    for (const name of ['nodes', 'keep_output', 'asynchronous', 'conditions', 'classes']) {
      const value = name === 'nodes' ? 'n1' : name.startsWith('c') ? 'a' : 'false'
      const rest = name === 'nodes' ? '' : '&nodes=n1'
      const answer = await post(`${name}=${value}&${name}=${value}${rest}`)
      assert.deepEqual([answer.status, answer.text], [400, `invalid ${name}: sent more than once\n`])
    }
  })

  await t.test('names that mean something to JavaScript mean nothing here', async () => {
    const answer = await post('__proto__=x&constructor=y&__proto__[nodes]=n1&toString=1')
    assert.deepEqual([answer.status, answer.text], [400, 'Missing nodes\n'])
  })

  await t.test('conditions that are none: 400', async () => {
    for (const conditions of ['x'.repeat(1_025), 'a b', 'a;reboot', '$(reboot)', '-x', 'é', 'a,,b', ','.repeat(10)]) {
      const answer = await postForm(relay, NODES, { nodes: 'n1', classes: conditions })
      assert.equal(answer.status, 400, `${conditions.slice(0, 20)}: ${answer.text}`)
      assert.match(answer.text, /^invalid condition[^\n]*\n$/)
    }
  })

  await t.test('more conditions than a command can be given: 400, and nothing is started', async () => {
    const classes = Array.from({ length: 30_000 }, (_, index) => `c${index}`).join(',')
    const answer = await postForm(relay, NODES, { nodes: 'n1', classes })
    assert.deepEqual([answer.status, answer.text], [400, TOO_MANY])
  })

  await t.test('a host name that would be an option can not come in by an id', async () => {
    for (const id of ['--help,n1', 'n1 n2', 'n1\n', '\0', '../n1', 'n1;n2', 'x'.repeat(129)]) {
      const answer = await postForm(relay, NODES, { nodes: id })
      assert.ok(answer.status === 400 || id === '--help,n1', `${id}: ${answer.status}`)
    }
  })

  await t.test('another type: 415, and nothing is started; a form of rubbish: 400', async () => {
    const before = await runs()
    for (const type of ['application/json', 'text/plain', 'text/xml', 'multipart/form-data; boundary=x', 'x']) {
      for (const path of [NODES, `${NODES}/n1`, NODES.replace('nodes', 'all')]) {
        for (const body of ['{"nodes":"n1"}', 'nodes=n1', '']) {
          const answer = await ask(relay, path, { method: 'POST', headers: { 'content-type': type }, body })
          assert.equal(answer.status, 415, `${type} ${path} ${body}`)
          assert.match(answer.text, /^content-type .*: send the fields as application\/x-www-form-urlencoded\n$/)
        }
      }
    }
    assert.equal(await runs(), before)
    for (const header of ['content-length', 'transfer-encoding']) {
      const headers = { [header]: header === 'content-length' ? '6' : 'chunked' }
      const untyped = await ask(relay, NODES, { method: 'POST', headers, body: 'nodes=' })
      assert.deepEqual([untyped.status, untyped.text], [400, 'Missing nodes\n'], 'no type: taken for a form')
    }
    for (const headers of [
      { 'content-type': '' },
      { 'content-encoding': 'Identity' },
      { 'content-encoding': 'identity, ' }
    ]) {
      const odd = await ask(relay, NODES, {
        method: 'POST',
        headers: { 'content-length': '6', ...headers },
        body: 'nodes='
      })
      assert.deepEqual([odd.status, odd.text], [400, 'Missing nodes\n'], JSON.stringify(headers))
    }
    assert.equal(await runs(), before)
    assert.equal((await post('nodes=%zz')).status, 400)
    const asForm = await post('nodes=%zz', 'Application/X-WWW-Form-Urlencoded; charset=UTF-8')
    assert.equal(asForm.status, 400)
  })

  assert.ok((await runs()) <= 1, 'only the list with a good id in it ran')
  await assertServes(tree, relay, 'n1', 'n2')
})
