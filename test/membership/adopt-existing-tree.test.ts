import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeAgentCertificate } from '../../demo/pki.js'
import { loadConfig } from '../../src/config/config-loader.js'
import { readExistingTree } from '../../src/membership/root/adopt-existing-tree.js'
import { createRoot } from '../../src/membership/root/create-root.js'
import { dataFolders } from '../../src/membership/setup/data-folders.js'
import { parseNodesList } from '../../src/tree/import/nodes-list.js'
import { openMembers } from '../support/parts/members.js'
import { temporaryFolder } from '../support/parts/neighbours.js'

const NODES = {
  root: { hostname: 'old-root.example', 'policy-server': 'root', 'key-hash': '' },
  'relay-1': { hostname: 'relay-1.example', 'policy-server': 'root', 'key-hash': `sha256:${'0'.repeat(64)}` },
  'node-1': { hostname: 'node-1.example', 'policy-server': 'relay-1', 'key-hash': '' }
}

test('an existing tree goes on under a new root, with the certificates that it has', async t => {
  const folder = await temporaryFolder(t)
  const [list, certs] = [join(folder, 'nodeslist.json'), join(folder, 'certs.pem')]
  const relay = await makeAgentCertificate({ nodeId: 'relay-1', hostname: 'relay-1.example' })
  const oldRoot = await makeAgentCertificate({ nodeId: 'root', hostname: 'old-root.example' })
  await writeFile(list, JSON.stringify(NODES))
  await writeFile(certs, `${relay.certificatePem}${oldRoot.certificatePem}${relay.certificatePem}`)
  const takenOver = await readExistingTree(list, certs, Date.now())
  const kinds = takenOver.members.map(({ id, kind }) => `${id} ${kind}`)
  assert.deepEqual(kinds.sort(), ['node-1 node', 'relay-1 relay'])
  const root = join(folder, 'root')
  await createRoot({
    folder: root,
    addresses: [{ hostname: 'root.example', port: 443 }],
    listen: '127.0.0.1:3030',
    lifetimeMs: 3_600_000,
    takenOver,
    data: dataFolders(root),
    command: '/bin/echo',
    program: ['treeline'],
    user: 'treeline',
    openRepository: openMembers,
    nowMs: Date.now()
  })
  const config = loadConfig(root)
  assert.deepEqual(config.notices, [])
  const { fallbackCommand, useSudo } = config.remoteRun
  assert.deepEqual({ fallbackCommand, useSudo }, { fallbackCommand: true, useSudo: true }, 'they hold no links')
  assert.match(await readFile(join(root, 'main.conf'), 'utf8'), /^# Nodes that were taken over hold no link until/m)
  const written = await readFile(config.general.nodesListFile, 'utf8')
  const nodes = parseNodesList(written, 'the list').nodes.map(({ id, policyServer }) => `${id} under ${policyServer}`)
  assert.deepEqual(nodes.sort(), ['node-1 under relay-1', 'relay-1 under root', 'root under root'])
  assert.equal(JSON.parse(written)['relay-1']['key-hash'], NODES['relay-1']['key-hash'])
  const listed = await readFile(config.general.nodesCertsFile, 'utf8')
  assert.ok(listed.includes(relay.certificatePem.trim()))
  assert.ok(!listed.includes(oldRoot.certificatePem.trim()), 'the old root is nobody any more')
})

test('a list whose policy servers are not in it is refused', async t => {
  const list = join(await temporaryFolder(t), 'nodeslist.json')
  await writeFile(list, JSON.stringify({ 'node-1': NODES['node-1'] }))
  await assert.rejects(
    readExistingTree(list, undefined, Date.now()),
    /the policy server of node-1, relay-1, is not in it/
  )
})
