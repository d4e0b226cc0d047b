import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import type { TreeMember } from '../../demo/relay-tree.js'
import { ask } from '../support/network/http.js'
import { startHttpd, whyNoHttpd } from '../support/network/httpd.js'
import { addProxyListen, changeConfig } from '../support/relays/relay-behind-proxy.js'
import { startTree } from '../support/relays/relay-tree.js'
import { editConfig } from '../support/relays/tree-files.js'
import { signContent } from '../support/work/signed-files.js'

const FOLDER = '/rudder/relay-api/shared-folder/file'
/** Stand for machines elsewhere: they are no trusted proxies, though they are on loopback. */
const NODE_ADDRESS = '127.0.0.5'
const STRANGE_ADDRESS = '127.0.0.6'

interface Call {
  readonly method?: string
  readonly from?: string
  readonly as?: TreeMember
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer | string
}

async function call(url: string, { method = 'GET', from = '127.0.0.1', as, headers = {}, body }: Call) {
  const certificate = as && { cert: as.certificate.certificatePem, key: as.certificate.privateKeyPem }
  const options = { method, headers, localAddress: from, rejectUnauthorized: false, agent: false, ...certificate }
  return new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
    const outgoing = request(url, options, response => {
      text(response).then(body => resolve({ status: response.statusCode, text: body }), reject)
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

test('behind Apache httpd, with its shipped configuration and with that of an existing relay', {
  skip: whyNoHttpd
}, async t => {
  const relays = [{ id: 'root', under: 'root', nodes: ['node-1', 'node-2'] }]
  const tree = await startTree(t, { relays, absent: ['root'] })
  const [root, node] = [tree.relay('root'), tree.member('node-1')]
  const proxied = await addProxyListen(root) // for the shipped page
  const socket = `socket = "${join(tree.folder, 'socket')}"` // else nobody may administer it
  await changeConfig(root, /\[general\]/, `[general]\nbehind_proxy = true\n${socket}`) // for that of an existing relay
  const relay = await tree.restart('root')
  await mkdir(join(root.directory, 'shared-folder'))
  await writeFile(join(root.directory, 'shared-folder', 'file'), 'content')
  const httpd = await startHttpd(t, join(tree.folder, 'httpd'), root, [node, tree.member('node-2'), root], {
    proxied,
    plain: root.localUrl
  })
  const both = [httpd.ours, httpd.packaged]
  const hash = createHash('sha256').update('content').digest('hex')

  await t.test('the shared folder, before the relay trusts httpd: 403 that says what to set', async () => {
    for (const url of both) {
      const refused = await call(url + FOLDER, { from: NODE_ADDRESS, as: node })
      assert.equal(refused.status, 403)
      assert.match(refused.text, /general\.trusted_proxies/)
    }
  })

  await editConfig(root, config =>
    config
      .replace('[general]', '[general]\ntrusted_proxies = ["127.0.0.1", "::1"]')
      .replace('[shared_folder]', `[shared_folder]\nallowed_networks = ["${NODE_ADDRESS}"]`)
  )
  relay.signal('SIGHUP')
  await relay.logged(line => line.includes('"msg":"reloaded"'))

  await t.test('the shared folder is for agents with a certificate, in the networks that may', async () => {
    for (const url of both) {
      const got = await call(url + FOLDER, { from: NODE_ADDRESS, as: node })
      assert.deepEqual(got, { status: 200, text: 'content' })
      const same = await call(`${url + FOLDER}?hash=${hash}`, { method: 'HEAD', from: NODE_ADDRESS, as: node })
      assert.equal(same.status, 304)
      const elsewhere = await call(url + FOLDER, { from: STRANGE_ADDRESS, as: node })
      assert.equal(elsewhere.status, 403)
      assert.match(elsewhere.text, /shared_folder\.allowed_networks/)
      const unknown = await call(url + FOLDER, { from: NODE_ADDRESS })
      assert.equal(unknown.status, 403)
      assert.doesNotMatch(unknown.text, /allowed_networks/, 'httpd refuses it')
    }
  })

  await t.test("it is for the relay's own agent, whatever networks may; nobody passes for it", async () => {
    for (const url of both) {
      assert.deepEqual(await call(url + FOLDER, { as: root }), { status: 200, text: 'content' })
      for (const claim of ['127.0.0.1', '::1', '127.0.0.1, 127.0.0.1', NODE_ADDRESS]) {
        const headers = { 'x-forwarded-for': claim }
        const forged = await call(url + FOLDER, { from: STRANGE_ADDRESS, as: node, headers })
        assert.equal(forged.status, 403, claim)
      }
    }
    assert.equal((await call(httpd.ours + FOLDER, {})).status, 200, 'without a certificate, by the shipped page')
    for (const mark of ['forwarded', 'via', 'x-real-ip']) {
      const unnamed = await ask(root, FOLDER, { headers: { [mark]: '127.0.0.1' } })
      assert.equal(unnamed.status, 403, `${mark} names nobody`)
    }
  })

  await t.test('who comes through it is never local, though it keeps silent about that', async () => {
    for (const url of httpd.silent) {
      assert.deepEqual(await call(`${url}/uuid`, {}), { status: 200, text: 'root' })
      for (const path of ['runs', 'outbox', 'system/info']) {
        const refused = await call(`${url}/rudder/relay-api/1/${path}`, {})
        assert.equal(refused.status, 403, path)
        assert.match(refused.text, /not allowed for /)
      }
    }
  })

  await t.test('the shipped page opens files on both paths, and nothing else to everyone', async () => {
    const headers = { 'content-type': 'application/octet-stream' }
    for (const [fileId, prefix] of [
      ['one', '/rudder/relay-api'],
      ['two', '//relay-api']
    ] as const) {
      const file = signContent('node-2', node, fileId, 'signed')
      const path = file.path.replace(/^.*?\/shared-files/, `${prefix}/shared-files`)
      const put = await call(`${httpd.ours}${path}?ttl=60`, {
        method: 'PUT',
        from: NODE_ADDRESS,
        headers,
        body: file.body
      })
      assert.equal(put.status, 200, put.text)
      const stored = join(root.sharedFilesPath, 'node-2', 'files', 'node-1', fileId)
      assert.equal(await readFile(stored, 'utf8'), 'signed')
    }
    for (const path of ['remote-run/all', '1/remote-run/all', '1/shared-folder/file', 'runs', 'system/status']) {
      const method = path.endsWith('all') ? 'POST' : 'GET'
      const refused = await call(`${httpd.ours}/rudder/relay-api/${path}`, { method, from: NODE_ADDRESS, as: node })
      assert.equal(refused.status, 403, path)
    }
  })
})
