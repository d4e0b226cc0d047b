import assert from 'node:assert/strict'
import { chown, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findServiceUser } from '../../src/cli/checks/permissions/service-user.js'
import { testAsRoot } from '../support/machine/own-namespace.js'
import { temporaryFolder, treeline } from '../support/machine/treeline-command.js'

const ROOT = 0
const SOMEBODY = 65_534

testAsRoot('a check of root is for the user of the installed unit, else for the owner of storage.path', async t => {
  const folder = await temporaryFolder(t)
  const [units, path] = [join(folder, 'units'), join(folder, 'storage')]
  await mkdir(join(units, 'treeline-relay-r1.service.d'), { recursive: true })
  const storage = { setting: 'storage.path', path }
  const find = (directory = folder, euid = ROOT) =>
    findServiceUser({ command: 'serve', nodeId: 'r1', directory, storage }, euid, [units])
  assert.deepEqual(find(), { uid: ROOT, known: undefined, warnings: [] })
  await mkdir(path)
  assert.equal(find().uid, ROOT)
  await chown(path, SOMEBODY, SOMEBODY)
  const runAs = "sudo -u '#65534'"
  assert.deepEqual(find(), { uid: SOMEBODY, known: 'user 65534, the owner of storage.path', runAs, warnings: [] })

  const unit = join(units, 'treeline-relay-r1.service')
  const write = (file: string, user: string) =>
    writeFile(file, `[Service]\nExecStart=/usr/bin/treeline serve --config ${folder}\nUser=${user}\n`)
  await write(unit, 'nobody')
  const asUnit = 'systemd-run --pipe --wait --quiet -p User=nobody'
  const ofUnit = { uid: SOMEBODY, known: `user nobody, as whom ${unit} runs it`, warnings: [] }
  assert.deepEqual(find(), { ...ofUnit, runAs: asUnit })
  const groups = join(units, 'treeline-relay-r1.service.d/groups.conf')
  const supplementary =
    'SupplementaryGroups=adm\nSupplementaryGroups=\nSupplementaryGroups=ssl-cert\nSupplementaryGroups=tls'
  await writeFile(groups, `[Service]\nGroup=daemon\n${supplementary}\n`)
  assert.deepEqual(find(), { ...ofUnit, runAs: `${asUnit} -p Group=daemon -p SupplementaryGroups='ssl-cert tls'` })
  await rm(groups)
  assert.equal(find(`${folder}2`).known, 'user 65534, the owner of storage.path', 'another configuration')
  await chown(path, ROOT, ROOT)
  const { uid, warnings } = find()
  assert.equal(uid, SOMEBODY)
  assert.deepEqual(warnings, [
    `storage.path ${path} belongs to user 0, and ${unit} runs this as nobody, who needs to write there; chown -R nobody: ${path}`
  ])
  await writeFile(join(units, 'treeline-relay-r1.service.d/user.conf'), '[Service]\nUser=root\n')
  assert.deepEqual(find(), { uid: ROOT, known: undefined, warnings: [] })
  await writeFile(join(units, 'treeline-relay-r1.service.d/user.conf'), '[Service]\nUser=no-such-user\n')
  assert.deepEqual(find(), { uid: ROOT, known: undefined, warnings: [] })
})

testAsRoot('a unit with instances counts for the folders of all of them, and names their user', async t => {
  const folder = await temporaryFolder(t)
  const [units, path] = [join(folder, 'units'), join(folder, 'storage')]
  await Promise.all([mkdir(units), mkdir(path)])
  const storage = { setting: 'storage.path', path }
  const find = (directory: string, command: 'serve' | 'agent' = 'serve') =>
    findServiceUser({ command, nodeId: 'r1', directory, storage }, ROOT, [units]).known
  const write = (name: string, start: string, user: string) =>
    writeFile(join(units, name), `[Service]\nExecStart=/usr/bin/treeline ${start}\nUser=${user}\n`)
  await write('treeline@.service', 'serve --config /etc/treeline.d/%i', 'nobody')
  await write('treeline-agent@.service', 'agent --config /etc/treeline.d/%i', '%i')
  const known = `user nobody, as whom ${join(units, 'treeline@.service')} runs it`
  assert.equal(find('/etc/treeline.d/r1'), known)
  for (const other of ['/etc/treeline.d/r1/x', '/etc/treelineXd/r1', '/etc/treeline.d'])
    assert.equal(find(other), undefined)
  const ofAgent = `as whom ${join(units, 'treeline-agent@.service')} runs it`
  assert.equal(find('/etc/treeline.d/daemon', 'agent'), `user daemon, ${ofAgent}`)
  await mkdir(join(units, 'treeline@r1.service.d'))
  await writeFile(join(units, 'treeline@r1.service.d/user.conf'), '[Service]\nUser=daemon\n')
  assert.match(find('/etc/treeline.d/r1') ?? '', /^user daemon, /)
  assert.equal(find('/etc/treeline.d/r2'), known)
})

testAsRoot('the last line of a check by root names the user that it is for', async t => {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, 'storage'))
  await chown(join(folder, 'storage'), SOMEBODY, SOMEBODY)
  await writeFile(
    join(folder, 'main.conf'),
    '[general]\nnode_id = "root"\nlisten = "127.0.0.1:0"\nnodes_list_file = "nodes.json"\n[storage]\npath = "storage"\n'
  )
  await writeFile(join(folder, 'nodes.json'), '{}')
  const { stdout, stderr } = await treeline(t, ['serve', '--config', folder, '--test'])
  const line = `sudo -u '#65534' .* serve --config ${folder} --test`
  assert.match(
    stderr,
    new RegExp(`note: files were read as root; whether they can be read by user 65534.* shows: ${line}`)
  )
  assert.match(stdout, /the configuration .* \(the folders: for user 65534, the owner of storage\.path\)\n$/)
})
