import assert from 'node:assert/strict'
import {
  chmod,
  chown,
  cp,
  lchown,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile
} from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { isoTime } from '../../src/values/time/iso-time.js'
import { eventually } from '../support/eventually.js'
import { AS_ROOT, IS_ROOT, ranAsRoot } from '../support/machine/own-namespace.js'
import { steppingClock } from '../support/machine/stepping-clock.js'
import { treeline } from '../support/machine/treeline-command.js'
import { startTcpProxy } from '../support/network/tcp-proxy.js'
import {
  certificateOf,
  getJson,
  type Machine,
  startJoinedTree,
  succeed,
  untilLinked
} from '../support/relays/joined-tree.js'

/** The user nobody. */
const SOMEBODY = 65_534

test('certificates renew themselves, in use, and no link is lost by it', async t => {
  const tree = await startJoinedTree(t, 'certificate_lifetime = "24s"')
  const { root } = tree
  const relay = await tree.machine('relay-a')
  const node = await tree.machine('node-1')
  await succeed(tree.join(relay, await tree.token('--relay')))
  const relayProcess = await tree.serve(relay)
  await succeed(tree.join(node, await tree.token('--node', '--under', 'relay-a')))
  tree.agent(node)
  await untilLinked(relay, 'node-1')
  const first = { relay: await certificateOf(relay), node: await certificateOf(node) }
  for (const [machine, old] of [
    [relay, first.relay],
    [node, first.node]
  ] as const) {
    const renewed = await eventually(`a new certificate of ${machine.id}`, async () => {
      const now = await certificateOf(machine)
      return now.serialNumber !== old.serialNumber && now
    })
    assert.ok(renewed.publicKey.equals(old.publicKey), 'the key is kept')
    assert.equal(renewed.subjectAltName, old.subjectAltName)
  }
  await eventually('the first certificates to end', () => Date.now() > Date.parse(first.relay.validTo) + 2_000)
  await untilLinked(relay, 'node-1')
  await untilLinked(root, 'relay-a')
  assert.match(relayProcess.log.join('\n'), /"until":"\d{4}-\d\d-\d\dT[^"]+Z","msg":"certificate renewed"/)
  assert.equal(relayProcess.log.filter(line => line.includes('link lost')).length, 0, relayProcess.log.join('\n'))
  await eventually('the first certificate to be forgotten', async () => {
    const { certificates } = (await getJson(root, '/nodes/relay-a')) as { certificates: { not_after: string }[] }
    return certificates.every(({ not_after: end }) => Date.parse(end) > Date.parse(first.relay.validTo))
  })
})

test('a machine that was off until its certificate had ended renews it, or says what to do', async t => {
  const tree = await startJoinedTree(t, 'certificate_lifetime = "3s"\nrenewal_grace = 0')
  const { root } = tree
  const node = await tree.machine('node-1')
  await succeed(tree.join(node, await tree.token('--node')))
  const { validTo } = await certificateOf(node)
  await eventually('its certificate to end', () => Date.now() > Date.parse(validTo) + 1_000)
  const late = tree.agent(node)
  await late.printed('treeline token create --node --id node-1')
  assert.match(late.soFar(), /certificate_file \S+: the certificate ended at .*"msg":"unusable certificate"/)
  late.child.kill('SIGTERM')
  await late.ended
  const conf = join(root.folder, 'main.conf')
  const text = (await readFile(conf, 'utf8')).replace('"3s"', '"90days"').replace('renewal_grace = 0', '')
  await writeFile(conf, text)
  assert.equal((await fetch(`http://${root.local}/system/reload`, { method: 'POST' })).status, 200)
  const agent = tree.agent(node)
  await untilLinked(root, 'node-1')
  await eventually('a new certificate', async () => {
    return Date.parse((await certificateOf(node)).validTo) > Date.parse(validTo)
  })
  // one that ends while its link stands
  tree.rootProcess.signal('SIGTERM')
  await tree.rootProcess.ended
  const clock = steppingClock(join(root.folder, 'clock'))
  const restarted = await tree.serve(root, clock.environment)
  await untilLinked(root, 'node-1')
  clock.set(200 * 24 * 3_600)
  const end = isoTime(Date.parse((await certificateOf(node)).validTo))
  await agent.printed(`its certificate ended at ${end}, by the clock here`)
  // a relay says so of its own as it starts
  restarted.signal('SIGTERM')
  await restarted.ended
  clock.set(400 * 24 * 3_600)
  const { log } = await tree.serve(root, clock.environment)
  assert.match(log.join('\n'), /general\.https_certificate_file \S+: the certificate ended at .*unusable certificate/)
})

test('a machine joins again: with what is in its folder, or without; its former certificates are revoked', async t => {
  if (await ranAsRoot(t)) return
  const tree = await startJoinedTree(t)
  const { root } = tree
  const [relay, node] = await Promise.all(['relay-a', 'node-1'].map(id => tree.machine(id)))
  assert.ok(relay !== undefined && node !== undefined)
  await succeed(tree.join(relay, await tree.token('--relay')))
  const former = await tree.serve(relay)
  await untilLinked(root, 'relay-a')
  await succeed(tree.join(node, await tree.token('--node', '--under', 'relay-a')))
  const listed = async ({ id }: Machine) => {
    const shown = (await getJson(root, `/nodes/${id}`)) as { key_hash: string; certificates: { fingerprint: string }[] }
    return { keyHash: shown.key_hash, certificates: shown.certificates.map(({ fingerprint }) => fingerprint) }
  }
  const fingerprint = async (machine: Machine) =>
    (await certificateOf(machine)).fingerprint256.replaceAll(':', '').toLowerCase()

  for (const [machine, conf, kind] of [
    [relay, 'main.conf', '--relay'],
    [node, 'agent.conf', '--node']
  ] as const) {
    const path = join(machine.folder, conf)
    await writeFile(
      path,
      `# mine\n${(await readFile(path, 'utf8')).replace(/\nhost = "[^"]*"/, '\nhost = "127.0.0.99:1"')}`
    )
    const before = {
      text: await readFile(path, 'utf8'),
      certificate: await fingerprint(machine),
      ...(await listed(machine))
    }
    assert.deepEqual(before.certificates, [before.certificate])
    const line = await tree.token(kind, '--id', machine.id)
    assert.ok(line.includes('--again'), line.join(' '))
    const { stdout } = await succeed(treeline(t, [...line, '--dir', machine.folder]))
    assert.match(stdout, /restart what runs there/)
    const after = await listed(machine)
    assert.deepEqual(after.certificates, [await fingerprint(machine)])
    assert.notEqual(after.certificates[0], before.certificate)
    assert.equal(after.keyHash, before.keyHash)
    const above: Machine = machine === relay ? root : relay
    assert.equal(await readFile(path, 'utf8'), before.text.replace('"127.0.0.99:1"', `"${above.host}:${above.port}"`))
    if (machine === relay) {
      await former.stop()
      await tree.serve(relay)
    } else tree.agent(node)
    await untilLinked(above, machine.id)
  }

  await t.test('as root, in the folder of the user that it runs as', { skip: !IS_ROOT && AS_ROOT }, async () => {
    await chmod(tree.folder, 0o755) // else the user could not use what is in theirs
    const theirs = { ...node, folder: join(tree.folder, 'theirs') }
    await cp(node.folder, theirs.folder, { recursive: true })
    for (const key of ['tls.key', 'sign.key']) await rm(join(theirs.folder, key))
    const names = async () => [theirs.folder, ...(await readdir(theirs.folder)).map(name => join(theirs.folder, name))]
    for (const path of await names()) await chown(path, SOMEBODY, SOMEBODY)
    const again = async () => [
      ...(await tree.token('--node', '--id', 'node-1')),
      ...['--dir', theirs.folder, '--user', 'nobody']
    ]
    await succeed(treeline(t, await again()))
    for (const path of await names()) assert.equal((await lstat(path)).uid, SOMEBODY, path)

    const conf = join(theirs.folder, 'agent.conf')
    const ours = join(tree.folder, 'of-root.conf')
    const text = (await readFile(conf, 'utf8')).replace(/\nhost = "[^"]*"/, '\nhost = "127.0.0.99:1"')
    await writeFile(ours, text, { mode: 0o600 })
    await rm(conf)
    await symlink(ours, conf)
    await lchown(conf, SOMEBODY, SOMEBODY)
    const { code, stderr } = await treeline(t, await again())
    assert.equal(code, 2)
    assert.match(stderr, /agent\.conf is a symbolic link of user 65534, and leads to a file that is neither theirs/)
    assert.equal(await readFile(ours, 'utf8'), text)

    await rm(conf)
    await writeFile(conf, text)
    await chown(conf, SOMEBODY, SOMEBODY)
    const proxy = await startTcpProxy(t, root.port)
    proxy.silence()
    const url = `https://${root.host}:${proxy.port}`
    const joining = treeline(
      t,
      (await again()).map(word => (word.startsWith('https:') ? url : word))
    )
    await eventually('the join to ask the root', () => proxy.open > 0)
    await rename(theirs.folder, `${theirs.folder}.former`)
    await mkdir(theirs.folder)
    proxy.heal()
    const refused = await joining
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /another folder has taken the place of \S+theirs since this command began/)
    assert.deepEqual(await readdir(theirs.folder), [])
  })

  await t.test('its folder is lost: new keys, the same place in the tree', async () => {
    const before = await listed(node)
    const anew = { ...node, folder: join(tree.folder, 'node-1-anew') }
    const line = await tree.token('--node', '--id', 'node-1')
    await succeed(tree.join(anew, line))
    const after = await listed(node)
    assert.deepEqual(after.certificates, [await fingerprint(anew)])
    assert.notEqual(after.keyHash, before.keyHash)
    tree.agent(anew)
    await eventually('the link by the new certificate', async () => {
      const run = await tree.ask(root, 'run', 'node-1')
      return run.code === 0
    })
  })

  await t.test('a folder that is none of join, or is of another id, is refused', async () => {
    const line = await tree.token('--node', '--id', 'node-1')
    const other = await treeline(t, [...line, '--dir', relay.folder])
    assert.equal(other.code, 2)
    assert.match(other.stderr, /--id is node-1, and .*main\.conf that of relay-a/)
    const conf = join(node.folder, 'agent.conf')
    await writeFile(conf, (await readFile(conf, 'utf8')).replace('"certificate.pem"', '"mine.pem"'))
    const strange = await treeline(t, [...line, '--dir', node.folder])
    assert.equal(strange.code, 2)
    assert.match(strange.stderr, /mine\.pem for certificate\.pem, so it was not made by join/)
  })
})
