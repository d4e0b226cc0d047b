import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect } from 'node:tls'
import { makeAgentCertificate } from '../../demo/pki.js'
import { eventually } from '../support/eventually.js'
import { ask, postForm } from '../support/network/http.js'
import { startHttpsPeer } from '../support/network/tls-peer.js'
import { startTree } from '../support/relays/relay-tree.js'
import { editConfig } from '../support/relays/tree-files.js'
import { signContent } from '../support/work/signed-files.js'

const RELAYS = [
  { id: 'root', under: 'root', nodes: ['node-r1', 'node-r2'] },
  { id: 'relay-a', under: 'root', nodes: ['node-a1'] }
]

test('neighbours that answer otherwise than a relay of ours', async t => {
  const tree = await startTree(t, {
    relays: RELAYS,
    settings: { 'shared_files.cleanup': ['frequency = "1s"'] }
  })
  const root = tree.relay('root')
  const relayA = tree.relay('relay-a')
  const make = (fileId: string) => signContent('node-a1', tree.member('node-r1'), fileId, `content of ${fileId}`)
  const put = (file: ReturnType<typeof make>) => ask(root, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body })
  const head = async (file: ReturnType<typeof make>) =>
    (await ask(root, `${file.path}?hash=${file.hash}`, { method: 'HEAD' })).status
  const lastError = async () => JSON.parse((await ask(root, '/outbox')).text).entries.at(-1)?.last_error
  const empty = () =>
    eventually('the outbox to be empty', async () => {
      await ask(root, '/outbox/retry', { method: 'POST' })
      return JSON.parse((await ask(root, '/outbox')).text).entries.length === 0
    })
  /** Where root finds relay-a from now on. */
  const pointTo = async (port: number | string) => {
    await editConfig(root, text => text.replace(/"relay-a" = "127\.0\.0\.1:\d+"/, `"relay-a" = "127.0.0.1:${port}"`))
    assert.equal((await ask(root, '/system/reload', { method: 'POST' })).status, 200)
  }
  const own = new URL(relayA.url).port

  await t.test('before: it has shown what it is', async () => {
    assert.equal((await put(make('before'))).status, 200)
  })

  await t.test('a 404 that is not its own, from a proxy in front of it, counts as not reached', async () => {
    const proxy = await startHttpsPeer(t, relayA.certificate, (request, response) => {
      request.resume()
      response.statusCode = 404
      response.end('no such page')
    })
    await pointTo(proxy.port)
    const file = make('behind-a-proxy')
    assert.equal(await head(file), 404)
    assert.equal((await put(file)).status, 202)
    assert.equal(await head(file), 200)
    await pointTo(own)
    await empty()
    assert.equal((await ask(relayA, file.path)).text, 'content of behind-a-proxy')
  })

  await t.test('408, 429 and 5xx are waited for; another 4xx is passed on', async () => {
    let status = 500
    const peer = await startHttpsPeer(t, relayA.certificate, (request, response) => {
      request.resume().on('end', () => {
        response.statusCode = status
        response.end(`because of ${status}\n`)
      })
    })
    await pointTo(peer.port)
    for (status of [408, 429, 500, 502, 503, 507, 508]) {
      assert.equal(await head(make(`never-${status}`)), 404, String(status))
      const file = make(`waits-${status}`)
      const answer = await put(file)
      assert.deepEqual([answer.status, answer.headers['treeline-state']], [202, 'pending'], String(status))
      assert.equal(await head(file), 200)
    }
    for (status of [400, 403, 409, 413]) {
      const passedOn = await eventually('a try', async () => {
        const answer = await put(make(`refused-${status}`))
        return answer.status !== 202 && answer
      })
      assert.equal(passedOn.status, status)
      assert.match(passedOn.text, new RegExp(`because of ${status}`))
    }
    await pointTo(own)
    await empty()
    for (const again of [408, 508]) assert.equal(await head(make(`waits-${again}`)), 200)
  })

  await t.test('a wrong certificate: nothing is sent to it', async () => {
    const certificate = await makeAgentCertificate({ nodeId: 'relay-a', hostname: 'localhost', kind: 'ec' })
    let asked = 0
    const impostor = await startHttpsPeer(t, certificate, (_request, response) => {
      asked += 1
      response.end()
    })
    await pointTo(impostor.port)
    const file = make('impostor')
    assert.equal((await put(file)).status, 202)
    assert.match(await lastError(), /certificate/)
    const run = await postForm(root, '/remote-run/nodes/node-a1', {})
    assert.equal(run.status, 502)
    assert.match(run.text, /^error: relay-a cannot be reached: .*certificate/)
    assert.equal(asked, 0)
    await pointTo(own)
    await empty()
    assert.equal(await head(file), 200)
  })

  await t.test('TLS 1.3 only', async () => {
    const secure = (maxVersion: 'TLSv1.2' | 'TLSv1.3') =>
      new Promise<string>(resolve => {
        const socket = connect({ port: Number(own), host: '127.0.0.1', rejectUnauthorized: false, maxVersion })
        socket.on('secureConnect', () => {
          resolve(socket.getProtocol() ?? '')
          socket.destroy()
        })
        socket.on('error', () => resolve('refused'))
      })
    assert.equal(await secure('TLSv1.3'), 'TLSv1.3')
    assert.equal(await secure('TLSv1.2'), 'refused')
  })

  await t.test('what has expired is purged by the job, file, metadata and folders in sight', async () => {
    const file = make('purged')
    const path = join(relayA.sharedFilesPath, 'node-a1/files/node-r1/purged')
    assert.equal((await ask(root, `${file.path}?ttl=1`, { method: 'PUT', body: file.body })).status, 200)
    assert.ok(existsSync(path))
    await eventually('the purge', () => !existsSync(path) && !existsSync(`${path}.metadata`))
    assert.equal(await head(file), 404)
    assert.ok(existsSync(join(relayA.sharedFilesPath, 'node-a1/files/node-r1/before')))
    await eventually('its count, which follows the records', async () =>
      /^treeline_purged_files_total [1-9]/m.test((await ask(relayA, '/metrics')).text)
    )
  })

  await t.test('shared_files.require_sender: the source itself, or a relay that it passed', async () => {
    for (const id of ['root', 'relay-a']) {
      await editConfig(tree.relay(id), text => text.replace('[shared_files]', '[shared_files]\nrequire_sender = true'))
      await tree.processes.get(id)?.stop()
      await tree.restart(id)
    }
    const file = make('sender')
    const send = async (as?: string) => {
      const by = as === undefined ? {} : { as: tree.member(as) }
      return ask(root, `${file.path}?ttl=1h`, { method: 'PUT', body: file.body, ...by })
    }
    for (const other of [undefined, 'node-r2', 'relay-a']) {
      const refused = await send(other)
      assert.equal(refused.status, 403, other)
      assert.match(refused.text, /shared_files\.require_sender/)
    }
    assert.equal((await send('node-r1')).status, 200)
    assert.equal(await head(file), 200)
  })
})
