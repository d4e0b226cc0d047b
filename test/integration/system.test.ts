import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { makeFifo } from '../support/machine/make-fifo.js'
import { ask } from '../support/network/http.js'
import { rawRequest } from '../support/network/raw-http.js'
import { startTree } from '../support/relays/relay-tree.js'
import { editConfig, editNodesList } from '../support/relays/tree-files.js'

const RELAYS = [
  { id: 'root', under: 'root', nodes: ['node-r1'] },
  { id: 'relay-a', under: 'root', nodes: ['node-a1'] }
]

test('system, reload, metrics, and the shared folder', async t => {
  const tree = await startTree(t, { relays: RELAYS, absent: ['relay-a'] })
  const root = tree.relay('root')
  const status = async () => JSON.parse((await ask(root, '/rudder/relay-api/1/system/status')).text)
  const reload = () => ask(root, '/rudder/relay-api/1/system/reload', { method: 'POST' })
  const hasNode = async (id: string) => (await ask(root, `/nodes/${id}`)).status === 200
  const nodesFile = join(root.directory, 'nodeslist.json')
  const configFile = join(root.directory, 'main.conf')

  await t.test('info and status, absent members left out', async () => {
    const info = JSON.parse((await ask(root, '/rudder/relay-api/1/system/info')).text)
    assert.deepEqual(Object.keys(info), ['result', 'action', 'data'])
    assert.deepEqual([info.result, info.action, info.data['major-version']], ['success', 'getSystemInfo', '1.0'])
    assert.match(info.data['full-version'], /^\d+\.\d+\.\d+/)
    const { result, action, data, ...rest } = await status()
    assert.deepEqual([result, action, rest], ['success', 'getStatus', {}])
    assert.deepEqual(data.configuration, { status: 'success' })
    assert.deepEqual(data.database, { status: 'success' })
    assert.deepEqual(data.nodes, { status: 'success', count: 4, certificates: 4 })
    const answer = await reload()
    assert.match(String(answer.headers['content-type']), /^application\/json/)
    assert.deepEqual(JSON.parse(answer.text), { result: 'success', action: 'reloadConfiguration' })
  })

  await t.test('a reload brings new nodes, by request and by SIGHUP', async () => {
    const add = (id: string) =>
      editNodesList(root, nodes => {
        nodes[id] = { hostname: `${id}.example.test`, 'policy-server': 'root' }
      })
    await add('node-new')
    assert.equal(await hasNode('node-new'), false)
    assert.equal((await reload()).status, 200)
    assert.equal(await hasNode('node-new'), true)
    await add('node-hup')
    tree.processes.get('root')?.signal('SIGHUP')
    await eventually('the node', () => hasNode('node-hup'))
  })

  await t.test('a broken nodes list changes nothing, and shows, until it is whole again', async () => {
    const good = await readFile(nodesFile, 'utf8')
    const cyclic = JSON.parse(good)
    cyclic['node-r1']['policy-server'] = 'node-a1'
    cyclic['relay-a']['policy-server'] = 'node-r1'
    const broken: [string, RegExp][] = [
      [good.slice(0, good.length / 2), /nodeslist\.json/],
      ['', /nodeslist\.json/],
      ['[]', /nodeslist\.json/],
      [JSON.stringify(cyclic), /node-a1|node-r1|relay-a/]
    ]
    for (const [text, why] of broken) {
      await writeFile(nodesFile, text)
      const answer = await reload()
      assert.equal(answer.status, 500, text.slice(0, 80))
      const { result, action, errorDetails } = JSON.parse(answer.text)
      assert.deepEqual([result, action], ['error', 'reloadConfiguration'])
      assert.match(errorDetails, why)
      assert.equal(await hasNode('node-new'), true)
      const { data } = await status()
      assert.equal(data.nodes.status, 'error')
      assert.match(data.nodes.details, why)
      assert.equal(data.nodes.count, 6)
      assert.equal(data.configuration.status, 'success')
      assert.equal((await ask(root, '/remote-run/nodes/node-new', { method: 'POST' })).status, 200)
    }
    await makeFifo(nodesFile)
    assert.match((await reload()).text, /nodeslist\.json: it is a FIFO; name a file/)
    await rm(nodesFile)
    await writeFile(nodesFile, good)
    assert.equal((await reload()).status, 200)
    assert.equal((await status()).data.nodes.status, 'success')
  })

  await t.test('a broken configuration changes nothing, and shows, until it is whole again', async () => {
    const good = await readFile(configFile, 'utf8')
    const broken: [string, RegExp][] = [
      ['[general\n', /main\.conf/],
      [good.replace('[general]', '[general]\nhttps_port = "many"'), /general\.https_port/],
      [good.replace('[general]', '[general]\ntrusted_proxies = ["rubbish"]'), /general\.trusted_proxies/]
    ]
    for (const [text, why] of broken) {
      await writeFile(configFile, text)
      for (const when of ['before', 'after'] as const) {
        const { data } = await status()
        assert.equal(data.configuration.status, 'error', `${when} a reload`)
        assert.match(data.configuration.details, why)
        assert.equal(data.nodes.status, 'success')
        if (when === 'after') continue
        const answer = await reload()
        assert.equal(answer.status, 500)
        assert.match(JSON.parse(answer.text).errorDetails, why)
      }
    }
    await rm(configFile)
    assert.match((await status()).data.configuration.details, /main\.conf: there is no file \S+main\.conf/)
    await writeFile(configFile, good)
    assert.deepEqual((await status()).data.configuration, { status: 'success' }, 'without a reload')
    assert.equal((await reload()).status, 200)
    assert.deepEqual((await status()).data.configuration, { status: 'success' })
    await editConfig(root, text => `${text}[processing.inventory]\noutput = "upstream"\n`)
    assert.equal((await reload()).status, 200)
    const { data } = await status()
    assert.equal(data.configuration.status, 'error')
    assert.match(data.configuration.details, /inventories.*rudder-relayd/s)
    await writeFile(configFile, good)
    assert.equal((await reload()).status, 200)
  })

  await t.test('byte order marks and PEM blocks that are no certificates are skipped', async () => {
    const certsFile = join(root.directory, 'allnodescerts.pem')
    const files = [
      nodesFile,
      certsFile,
      configFile,
      join(root.directory, 'logging.conf'),
      root.certificateFile,
      root.keyFile
    ]
    const goods = await Promise.all(files.map(file => readFile(file, 'utf8')))
    for (const [index, file] of files.entries()) await writeFile(file, `\uFEFF${goods[index]}`)
    const key = await readFile(tree.member('node-r1').keyFile, 'utf8')
    const foreign = ['PKCS7', 'TRUSTED CERTIFICATE'].map(
      kind => `-----BEGIN ${kind}-----\nAAAA\n-----END ${kind}-----\n`
    )
    await writeFile(certsFile, `\uFEFF${key}${foreign.join('')}${goods[1]}`)
    const answer = await reload()
    assert.equal(answer.status, 200, answer.text)
    const { data } = await status()
    assert.deepEqual(
      [data.configuration.status, data.nodes],
      ['success', { status: 'success', count: 6, certificates: 4 }]
    )
    assert.equal((await ask(root, '/uuid', { as: null })).status, 200, 'its own certificate is in use')
    const { log } = tree.processes.get('root') ?? {}
    for (const kind of ['PRIVATE KEY', 'PKCS7', 'TRUSTED CERTIFICATE']) {
      assert.ok(
        log?.some(line => line.includes(`the block ${kind} on line `)),
        kind
      )
    }
    for (const [index, file] of files.entries()) await writeFile(file, goods[index] ?? '')
    assert.equal((await reload()).status, 200)
  })

  await t.test('a file in UTF-16 is called so, by its name and with what to do', async () => {
    const certsFile = join(root.directory, 'allnodescerts.pem')
    for (const file of [nodesFile, certsFile, configFile, root.certificateFile, root.keyFile]) {
      const whole = await readFile(file, 'utf8')
      await writeFile(file, Buffer.from(`\uFEFF${whole}`, 'utf16le'))
      const { status, text } = await reload()
      assert.equal(status, 500)
      assert.ok(text.includes(basename(file)), text)
      assert.match(text, /it is in UTF-16, .*: save it as UTF-8/)
      await writeFile(file, whole)
    }
    assert.equal((await reload()).status, 200)
  })

  await t.test('uuid and metrics', async () => {
    const uuid = await ask(root, '/uuid')
    assert.deepEqual([uuid.status, uuid.text], [200, 'root'])
    assert.match(String(uuid.headers['content-type']), /^text\/plain/)
    const { text } = await ask(root, '/metrics')
    assert.match(text, /^treeline_nodes 6$/m)
    assert.match(text, /^rudder_relayd_managed_nodes_total 5$/m)
    assert.match(text, /^rudder_relayd_sub_nodes_total 6$/m)
    assert.match(text, /^treeline_http_requests_total\{[^}]*route="[^"]*\/system\/reload"[^}]*status="500"[^}]*\} 13$/m)
    assert.match(text, /^process_resident_memory_bytes \d+/m)
    assert.equal(JSON.parse((await ask(root, '/openapi.json')).text).openapi.slice(0, 3), '3.1')
  })

  await t.test('a reload with an empty certificate or key keeps the former ones, and names the file', async () => {
    for (const file of [root.certificateFile, root.keyFile]) {
      const text = await readFile(file, 'utf8')
      await writeFile(file, '')
      const answer = await reload()
      assert.equal(answer.status, 500)
      assert.ok(answer.text.includes(`${file} is empty: restore it from a backup`), answer.text)
      assert.equal((await ask(root, '/uuid', { as: null })).status, 200)
      await writeFile(file, text)
      assert.equal((await reload()).status, 200)
    }
  })

  await t.test('the shared folder: 304, 200, 404 and 400', async () => {
    const folder = join(root.directory, 'shared-folder')
    await mkdir(join(folder, 'sub folder'), { recursive: true })
    const content = 'what all nodes may read'
    await writeFile(join(folder, 'sub folder/a file.txt'), content)
    await writeFile(join(root.directory, 'secret'), 'x')
    await symlink('../secret', join(folder, 'out'))
    await symlink('sub folder', join(folder, 'inside'))
    const path = '/rudder/relay-api/shared-folder/sub%20folder/a%20file.txt'
    const hashOf = (type: string) => createHash(type).update(content).digest('hex')
    const head = async (query: string, at = path) => (await ask(root, at + query, { method: 'HEAD' })).status
    const got = await ask(root, path)
    assert.deepEqual([got.status, got.text], [200, content])
    assert.equal(await head(''), 200)
    assert.equal(await head(`?hash=${hashOf('sha256')}`), 304)
    assert.equal(await head(`?hash=${hashOf('sha256').toUpperCase()}&hash_type=sha256`), 304)
    assert.equal(await head(`?hash=${hashOf('sha512')}&hash_type=sha512`), 304)
    assert.equal(await head(`?hash=${'0'.repeat(64)}`), 200)
    assert.equal((await ask(root, '/rudder/relay-api/shared-folder/inside/a%20file.txt')).text, content)
    const out = '/rudder/relay-api/shared-folder/out'
    assert.equal((await ask(root, out)).status, 403)
    const hashOfSecret = createHash('sha256').update('x').digest('hex')
    for (const query of ['', '?hash=', `?hash=${hashOfSecret}`]) assert.equal(await head(query, out), 403, query)
    for (const none of ['?hash=', '?hash=&hash_type=', '?hash_type=sha512&hash='])
      assert.equal(await head(none), 200, none)
    assert.equal(await head(`?hash=${hashOf('sha256')}&hash_type=`), 304)
    for (const bad of [
      '?hash=00',
      '?hash=xyz',
      `?hash=${hashOf('sha512')}`,
      '?hash_type=md5',
      '?hash=00&hash_type=sha1'
    ]) {
      assert.equal(await head(bad), 400, bad)
    }
    await writeFile(join(folder, 'sub folder/a file.txt'), 'changed')
    assert.equal(await head(`?hash=${hashOf('sha256')}`), 200)
    for (const missing of ['none', 'sub%20folder', 'sub%20folder/none']) {
      const answer = await ask(root, `/shared-folder/${missing}`)
      assert.deepEqual([answer.status, answer.text], [404, 'NOT FOUND'], missing)
      for (const query of ['', '?hash=', '?hash=xyz', `?hash=${hashOf('sha256')}`]) {
        assert.equal(await head(query, `/shared-folder/${missing}`), 404, missing + query)
      }
    }
    for (const harmful of [
      '../secret',
      '%2e%2e/secret',
      '..%2fsecret',
      'sub%20folder/..%5c..%5csecret',
      'a%5cb',
      '%00'
    ]) {
      for (const method of ['GET', 'HEAD']) {
        const answer = await rawRequest(root, method, `/rudder/relay-api/shared-folder/${harmful}`)
        assert.equal(answer.status, 400, `${method} ${harmful}: ${answer.text}`)
      }
    }
  })
})
