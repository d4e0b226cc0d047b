import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { askHalfClosed, openWay, socketsOf, untilClosed, type Way } from '../support/network/half-closing.js'
import { ask, postForm } from '../support/network/http.js'
import { head, statusesIn } from '../support/network/raw-client.js'
import { changeConfig } from '../support/relays/relay-behind-proxy.js'
import { startTree } from '../support/relays/relay-tree.js'
import { signContent } from '../support/work/signed-files.js'

const API = '/rudder/relay-api/1'
const FORM = 'Content-Type: application/x-www-form-urlencoded'
/** Of a host whose name has `slow` in it, the agent says one word, and never ends. */
const AGENT = `#!/bin/sh
for last do :; done
echo "agent of $last"
case "$last" in *slow*) exec sleep 3600 ;; esac
`

function post(path: string, form: string): string {
  return head(`POST ${API}${path} HTTP/1.1`, 'Host: localhost', FORM, `Content-Length: ${form.length}`) + form
}

test('a caller that shuts down its sending side', async t => {
  const tree = await startTree(t, {
    relays: [{ id: 'root', under: 'root', nodes: ['node-1', 'node-2', 'node-slow'] }],
    absent: ['root'],
    agent: AGENT
  })
  const relay = tree.relay('root')
  const socket = join(relay.directory, 'relay.sock')
  await changeConfig(relay, /\[general\]/, `[general]\nsocket = "${socket}"`)
  const { pid } = await tree.restart('root')
  const node = tree.member('node-1').certificate
  const port = Number(new URL(relay.localUrl).port)
  const plain: Way = { name: 'at listen', to: { host: '127.0.0.1', port } }
  const ways: readonly Way[] = [
    plain,
    { name: 'at the socket', to: { path: socket } },
    {
      name: 'at https_listen',
      to: { host: '127.0.0.1', port: Number(new URL(relay.url).port) },
      tls: { cert: node.certificatePem, key: node.privateKeyPem }
    }
  ]
  await ask(relay, '/uuid')
  const before = await eventually('the sockets at rest', async () => {
    const [one, other] = [await socketsOf(pid), await socketsOf(pid)]
    return one === other ? one : undefined
  })

  for (const [index, way] of ways.entries()) {
    await t.test(`${way.name}: has what is short answered, and the connection closed then`, async t => {
      const file = signContent('node-1', tree.member('node-2'), `f${index}`, 'content')
      const length = `Content-Length: ${file.body.length}`
      const put = Buffer.concat([
        Buffer.from(head(`PUT ${file.path}?ttl=1h HTTP/1.1`, 'Host: localhost', length)),
        file.body
      ])
      assert.deepEqual(statusesIn(await askHalfClosed(t, way, put)), [200])
      assert.deepEqual(statusesIn(await askHalfClosed(t, way, head('GET /uuid HTTP/1.1', 'Host: localhost'))), [200])
      const two = head(`HEAD ${file.path}?hash=${file.hash} HTTP/1.1`, 'Host: localhost')
      assert.deepEqual(statusesIn(await askHalfClosed(t, way, two + two)), [200, 200])
      const uuid = head('GET /uuid HTTP/1.1', 'Host: localhost')
      const offer = head('GET /uuid HTTP/1.1', 'Host: localhost', 'Connection: upgrade', 'Upgrade: h2c')
      for (const requests of [[offer], [uuid, offer], [offer, uuid], [offer, offer, two], [two, uuid, offer, uuid]]) {
        const expected = statusesIn(requests.join('').replaceAll(/^(?:GET|HEAD) .*$/gm, 'HTTP/1.1 200 OK'))
        assert.deepEqual(statusesIn(await askHalfClosed(t, way, requests.join(''))), expected, requests.join(''))
      }
      const mayRun = way.tls === undefined
      const asynchronous = await askHalfClosed(t, way, post('/remote-run/nodes/node-1', 'asynchronous=true'))
      assert.deepEqual(statusesIn(asynchronous), [mayRun ? 200 : 403])
      const run = await askHalfClosed(t, way, post('/remote-run/nodes/node-1', 'keep_output=true'))
      assert.deepEqual(statusesIn(run), [mayRun ? 200 : 403])
      if (mayRun) assert.match(run, /agent of node-1/)
    })

    await t.test(`${way.name}: is closed at once where nothing is under way`, async t => {
      assert.equal(await askHalfClosed(t, way, ''), '')
      assert.deepEqual(statusesIn(await askHalfClosed(t, way, 'GET /uuid HTTP/1.1\r\nHost: lo')), [400])
      const unused = await openWay(t, way)
      const answers = untilClosed(unused)
      unused.write(head('GET /uuid HTTP/1.1', 'Host: localhost'))
      await once(unused, 'data')
      unused.end()
      assert.deepEqual(statusesIn(await answers), [200])
      const cut = head(`PUT ${API}/shared-files/node-1/node-2/cut HTTP/1.1`, 'Host: localhost', 'Content-Length: 9')
      assert.doesNotMatch(await askHalfClosed(t, way, `${cut}half`), / 20\d /)
    })
  }

  await t.test('leaves a run, which is cancelled', async t => {
    for (const form of ['keep_output=true', '']) {
      const answer = await askHalfClosed(t, plain, post('/remote-run/nodes/node-slow', form))
      assert.doesNotMatch(answer, /HTTP\/1.1 5/)
      await eventually('the run cancelled', async () => {
        const { runs } = JSON.parse((await ask(relay, `${API}/runs?limit=1`)).text) as { runs: { state: string }[] }
        return runs[0]?.state === 'cancelled'
      })
    }
  })

  await t.test('leaves the events of a run, which goes on', async t => {
    const begun = await postForm(relay, `${API}/remote-run/nodes/node-slow`, { asynchronous: 'true' })
    const id = String(begun.headers['treeline-run-id'])
    const events = head(`GET ${API}/runs/${id}/events HTTP/1.1`, 'Host: localhost')
    assert.match(await askHalfClosed(t, plain, events), /"event":"start"/)
    const output = post('/remote-run/nodes/node-slow', 'asynchronous=true&keep_output=true')
    assert.match(await askHalfClosed(t, plain, output), /agent of node-slow/)
    const { state } = JSON.parse((await ask(relay, `${API}/runs/${id}`)).text) as { state: string }
    assert.equal(state, 'running')
    await ask(relay, `${API}/runs/${id}/cancel`, { method: 'POST' })
  })

  await t.test('leaves no connection behind', async () => {
    await eventually('as few sockets as before', async () => (await socketsOf(pid)) <= before)
  })
})
