import assert from 'node:assert/strict'
import { text as readText } from 'node:stream/consumers'
import { test } from 'node:test'
import { makeAgentCertificate } from '../../demo/pki.js'
import { eventually } from '../support/eventually.js'
import { ask, postForm } from '../support/network/http.js'
import { startMixedTree } from '../support/relays/text-relay-tree.js'
import { editConfig } from '../support/relays/tree-files.js'
import { signContent } from '../support/work/signed-files.js'

const RELAYS = [
  { id: 'root', under: 'root', nodes: ['node-r1', 'node-r2'] },
  { id: 'relay-a', under: 'root', nodes: ['node-a1'] },
  { id: 'sub', under: 'relay-a', nodes: ['node-s1'] }
]

test('an existing relay above ours', async t => {
  const { tree, text } = await startMixedTree(t, {
    relays: RELAYS,
    textRelay: 'root',
    settings: {
      'output.upstream': ['user = "agent"', 'password = "secret"'],
      // an existing relay shows no certificate: it is known by its address
      remote_run: ['allowed_networks = ["127.0.0.0/8"]']
    }
  })
  const [relayA, sub] = ['relay-a', 'sub'].map(id => tree.relay(id))
  assert.ok(relayA !== undefined && sub !== undefined)
  const port = Number(new URL(relayA.url).port)

  await t.test('files for its nodes go up to it, with the credentials that it asks for', async () => {
    // It knows the keys of its own nodes alone, and so takes only their files.
    const known = signContent('node-r1', tree.member('relay-a'), 'f', 'from relay-a')
    const put = await ask(relayA, `${known.path}?ttl=1h`, { method: 'PUT', body: known.body })
    assert.equal(put.status, 200, put.text)
    assert.equal(String(text.files.get('node-r1/relay-a/f')?.bytes), 'from relay-a')
    const [request] = text.requests.filter(({ method }) => method === 'PUT')
    assert.match(request?.url ?? '', /^\/rudder\/relay-api\/shared-files\/node-r1\/relay-a\/f\?ttl=\d+$/)
    assert.equal(request?.headers.authorization, `Basic ${Buffer.from('agent:secret').toString('base64')}`)
    assert.equal((await ask(sub, `${known.path}?hash=${known.hash}`, { method: 'HEAD' })).status, 200)
  })

  await t.test('its answers reach the sender', async () => {
    const foreign = signContent('node-r1', tree.member('node-s1'), 'f', 'x')
    const refused = await ask(sub, `${foreign.path}?ttl=1h`, { method: 'PUT', body: foreign.body })
    assert.equal(refused.status, 404)
    assert.match(refused.text, /unknown source/)
    const nowhere = signContent('stranger', tree.member('node-s1'), 'f', 'x')
    assert.equal((await ask(sub, `${nowhere.path}?ttl=1h`, { method: 'PUT', body: nowhere.body })).status, 404)
  })

  await t.test('a file that it hands down by its routes is judged by its signature alone', async () => {
    const file = signContent('node-s1', tree.member('node-a1'), 'down', 'x')
    const send = (body: Buffer) =>
      ask(relayA, `//relay-api/shared-files/node-s1/node-a1/down?ttl=60`, { method: 'PUT', body, as: null })
    assert.equal((await send(Buffer.concat([file.body, Buffer.from('!')]))).status, 403)
    assert.equal((await send(file.body)).status, 200)
    assert.equal((await ask(sub, file.path)).text, 'x')
  })

  await t.test('its remote runs are answered in text, in the four combinations', async () => {
    for (const keepOutput of [true, false]) {
      for (const asynchronous of [true, false]) {
        for (const nodes of [undefined, ['node-a1', 'node-s1']]) {
          const fields = { keepOutput, asynchronous, ...(nodes === undefined ? {} : { nodes }) }
          const answer = await text.sendRemoteRun(port, nodes === undefined ? 'all' : 'nodes', fields)
          assert.equal(answer.statusCode, 200)
          assert.match(String(answer.headers['content-type']), /^text\/plain/)
          const output = await readText(answer)
          if (!keepOutput) assert.equal(output, '')
          else for (const id of ['node-a1', 'node-s1']) assert.match(output, new RegExp(`^agent of ${id}`, 'm'))
        }
      }
    }
    const withClasses = await text.sendRemoteRun(port, 'all', {
      keepOutput: false,
      asynchronous: false,
      classes: ['a']
    })
    assert.equal(withClasses.statusCode, 200)
    await readText(withClasses)
    const { runs } = JSON.parse((await ask(sub, '/runs?limit=1')).text)
    assert.deepEqual(runs[0].conditions, ['a'])
  })

  await t.test(
    'from an address that is listed in remote_run.allowed_networks it may; from another one it may not',
    async () => {
      const certificate = await makeAgentCertificate({ nodeId: 'root', hostname: 'x', kind: 'ec' })
      // A certificate that nobody knows makes a caller that is known by its address alone, even on loopback.
      const as = { ...tree.member('root'), certificate }
      const run = () =>
        postForm(relayA, '/rudder/relay-api/remote-run/all', { classes: '', keep_output: 'true' }, { as })
      const listed = await run()
      assert.equal(listed.status, 200)
      assert.match(listed.text, /^agent of node-s1/m)
      await editConfig(relayA, config => config.replace('allowed_networks = ["127.0.0.0/8"]', 'allowed_networks = []'))
      tree.processes.get('relay-a')?.signal('SIGHUP')
      const refused = await eventually('the new setting', async () => {
        const got = await run()
        return got.status === 403 && got
      })
      assert.match(refused.text, /remote_run\.allowed_networks/)
    }
  )
})
