import assert from 'node:assert/strict'
import { chmod, copyFile, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { relayCertificateWarnings } from '../../src/cli/checks/certificate-warnings.js'
import { checkAgentStart, checkRelayStart } from '../../src/cli/checks/start-files-check.js'
import { loadAgentConfig } from '../../src/config/agent/agent-loader.js'
import { loadConfig } from '../../src/config/config-loader.js'
import { mountSmallDisk } from '../support/machine/small-disk.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'
import { CLIENTS, makeAgentFolder, makeRelayFolder } from '../support/parts/checked-folders.js'

const EVERYBODY = 0o666

test('each file of a relay that others could read or change is warned of, by its setting', async t => {
  const folder = await makeRelayFolder(t)
  const config = loadConfig(folder)
  assert.deepEqual(await checkRelayStart(config), { problems: [], warnings: [], notes: [], checkedFor: undefined })
  const files = [
    ['general.https_key_file', 'tls.key'],
    ['tree.ca_key_file', 'ca.key'],
    ['tree.ca_file', 'ca.pem'],
    ['tokens.admin_file', 'admin'],
    ['tokens.clients_file', 'clients'],
    ['the key that signs files,', 'sign.key'],
    ['the configuration', 'main.conf'],
    ['storage.path:', 'data/state.db'],
    ['remote_run.command', config.remoteRun.command]
  ] as const
  for (const [, name] of files) await chmod(name.startsWith('/') ? name : join(folder, name), EVERYBODY)
  const { problems, warnings } = await checkRelayStart(config)
  assert.deepEqual(problems, [])
  for (const [key] of files) {
    const found = warnings.filter(warning => warning.startsWith(`${key} `) && warning.includes('has mode 0666'))
    assert.equal(found.length, 1, `${key}: ${warnings.join('\n')}`)
  }
})

test('folders in which others may write are warned of, by their setting', async t => {
  const folder = await makeRelayFolder(t)
  const config = loadConfig(folder)
  const { storage, sharedFiles } = config
  for (const path of [storage.path, sharedFiles.path]) {
    await mkdir(path, { recursive: true })
    await chmod(path, 0o777)
  }
  const { warnings } = await checkRelayStart(config)
  for (const [key, path] of [
    ['storage.path', storage.path],
    ['shared_files.path', sharedFiles.path]
  ]) {
    const says = `${key} ${path} is open to every user of this machine, who may put files there; chmod o-w ${path}`
    assert.ok(warnings.includes(says), warnings.join('\n'))
  }
  const agent = loadAgentConfig(await makeAgentFolder(t))
  await mkdir(agent.storage.path, { recursive: true })
  await chmod(agent.storage.path, 0o777)
  assert.match((await checkAgentStart(agent)).warnings.join('\n'), /^storage\.path \S+ is open to every user/m)
})

test('a folder of data on a read-only file system is a problem, made or not', async t => {
  const disk = await mountSmallDisk(t, 1)
  if (disk === undefined) return
  const place = async (folder: string, conf: string) => {
    const file = join(folder, conf)
    const text = await readFile(file, 'utf8')
    await writeFile(file, text.replace(/^\[storage\]\n(path = .*\n)?/m, `[storage]\npath = "${disk.path}/data"\n`))
    return folder
  }
  const relay = loadConfig(await place(await makeRelayFolder(t), 'main.conf'))
  const agent = loadAgentConfig(await place(await makeAgentFolder(t), 'agent.conf'))
  const says = `storage.path ${disk.path}/data is on a file system that is read-only: mount it for writing`
  for (const isMade of [false, true]) {
    if (isMade) await mkdir(join(disk.path, 'data'))
    await disk.setReadOnly(true)
    assert.deepEqual((await checkRelayStart(relay)).problems, [says])
    assert.deepEqual((await checkAgentStart(agent)).problems, [says])
    await disk.setReadOnly(false)
  }
  assert.deepEqual((await checkAgentStart(agent)).problems, [])
})

test('a configuration with a password in it is for nobody else to read', async t => {
  const folder = await makeRelayFolder(t)
  const config = loadConfig(folder)
  const upstream = { ...(config.upstream ?? {}), password: 'secret' } as NonNullable<typeof config.upstream>
  const { warnings } = await checkRelayStart({ ...config, upstream })
  assert.match(warnings.join('\n'), /^output.upstream.password: .*main.conf has mode 0644/m)
})

test('what a relay would not start with is found: junk for tokens of clients, a key of another CA', async t => {
  const folder = await makeRelayFolder(t)
  await writeFile(join(folder, 'clients'), `${CLIENTS}register\n`)
  await copyFile(join(folder, 'tls.key'), join(folder, 'ca.key'))
  const { problems } = await checkRelayStart(loadConfig(folder))
  assert.match(problems.join('\n'), /^tokens.clients_file .*clients: line 2: expected/m)
  assert.match(problems.join('\n'), /^tree.ca_key_file .*ca.key is not the key of tree.ca_file/m)
  await writeFile(join(folder, 'ca.key'), '\n')
  const { problems: empty } = await checkRelayStart(loadConfig(folder))
  assert.match(empty.join('\n'), /^tree.ca_key_file .*ca.key is empty: restore it from a backup/m)
})

test('a folder that cannot be made is found: a problem where the start makes it, else a warning', async t => {
  const folder = await makeRelayFolder(t)
  await symlink('nothing', join(folder, 'link'))
  const [link, under, beside] = ['link', 'link/a', 'link/b'].map(name => join(folder, name))
  assert.ok(link !== undefined && under !== undefined && beside !== undefined)
  const config = loadConfig(folder)
  const { storage, sharedFiles, sharedFolder } = config
  const { problems, warnings } = await checkRelayStart({
    ...config,
    storage: { ...storage, path: link },
    sharedFiles: { ...sharedFiles, path: under },
    sharedFolder: { ...sharedFolder, path: beside }
  })
  const says = `the folder ${link} cannot be made: it is a symbolic link to nothing, where there is no folder`
  assert.deepEqual(problems, [`storage.path ${link}: ${says}`, `shared_files.path ${under}: ${says}`])
  assert.deepEqual(warnings, [`shared_folder.path ${beside}: ${says}`])
  const agent = loadAgentConfig(await makeAgentFolder(t))
  const ofAgent = await checkAgentStart({ ...agent, storage: { ...agent.storage, path: under } })
  assert.deepEqual(ofAgent.problems, [`storage.path ${under}: ${says}`])
  const file = join(folder, 'main.conf')
  const belowFile = await checkRelayStart({ ...config, storage: { ...storage, path: join(file, 'a') } })
  assert.match(
    belowFile.problems.join(),
    /^storage\.path \S+: the folder \S+main\.conf cannot be made: there is a file/
  )
})

test('each file of an agent that others could read or change is warned of, by its setting', async t => {
  const folder = await makeAgentFolder(t)
  const config = loadAgentConfig(folder)
  assert.deepEqual(await checkAgentStart(config), { problems: [], warnings: [], notes: [], checkedFor: undefined })
  const files = [
    ['key_file', 'tls.key'],
    ['signing_key_file', 'sign.key'],
    ['the configuration', 'agent.conf'],
    ['upstream.ca_file', 'ca.pem'],
    ['agent.command', config.agent.command]
  ] as const
  for (const [, name] of files) await chmod(name.startsWith('/') ? name : join(folder, name), EVERYBODY)
  const { warnings } = await checkAgentStart(config)
  for (const [key] of files) {
    const found = warnings.filter(warning => warning.startsWith(`${key} `) && warning.includes('has mode 0666'))
    assert.equal(found.length, 1, `${key}: ${warnings.join('\n')}`)
  }
})

test('what an agent cannot use is found: a signing key that is none, an owner and a command that are not there', async t => {
  const receive = [
    'source = "node-2"',
    'file_id = "f"',
    'destination = "/tmp/f"',
    'owner = "no-such-user"',
    'command = ["/nope/x"]'
  ]
  const folder = await makeAgentFolder(t, `\n[[agent.receive]]\n${receive.join('\n')}\n`)
  await writeFile(join(folder, 'sign.key'), await readFile(join(folder, 'ca.pem')))
  const { problems, warnings } = await checkAgentStart(loadAgentConfig(folder))
  assert.match(problems.join('\n'), /^signing_key_file .*sign.key/m)
  assert.match(problems.join('\n'), /^agent\.receive\[0\]\.owner: the system knows no user no-such-user/m)
  assert.match(warnings.join('\n'), /^agent.receive: command \/nope\/x is not there/m)
  await writeFile(join(folder, 'sign.key'), '')
  const { problems: empty } = await checkAgentStart(loadAgentConfig(folder))
  assert.match(empty.join('\n'), /^signing_key_file .*sign.key cannot be used: it is empty, as after an interruption/m)
})

test('certificates that have ended, are not valid yet, or are of another CA than ca_path are warned of', async t => {
  const check = async (folder: string, caPath?: string) => {
    const { general, ...config } = loadConfig(folder)
    const trust = { peerAuthentication: 'cert_validation', caPath: caPath ?? join(folder, 'ca.pem') } as const
    return relayCertificateWarnings({ ...config, general: { ...general, ...trust } })
  }
  const [now, ended, future] = [
    await makeRelayFolder(t),
    await makeRelayFolder(t, Date.now() - 7_200_000),
    await makeRelayFolder(t, Date.now() + 30 * 24 * 3_600_000)
  ]
  assert.deepEqual(await check(now), [])
  assert.match(
    (await check(ended)).join('\n'),
    /^general\.https_certificate_file \S+: the certificate ended at \d{4}-\d\d-\S+Z, and is refused; [^\n]*tree\.renewal_grace[^\n]*$/
  )
  assert.match(
    (await check(future)).join('\n'),
    /^tree\.ca_file \S+: the certificate is not valid before \d{4}-[^\n]*make the tree anew/m
  )
  assert.match(
    (await check(now, join(ended, 'ca.pem'))).join('\n'),
    /^general\.https_certificate_file \S+: the certificate was not issued by one in general\.ca_path /
  )
  const both = join(now, 'both.pem')
  await writeFile(both, [await readFile(join(ended, 'ca.pem')), await readFile(join(now, 'ca.pem'))].join(''))
  assert.deepEqual(await check(now, both), [], 'one of several is enough')

  const { warnings } = await checkRelayStart(loadConfig(ended))
  assert.match(warnings.join('\n'), /^general\.https_certificate_file \S+: the certificate ended at /)
  const agent = await makeAgentFolder(t)
  await copyFile(join(ended, 'certificate.pem'), join(agent, 'certificate.pem'))
  await copyFile(join(ended, 'tls.key'), join(agent, 'tls.key'))
  const ofAgent = await checkAgentStart(loadAgentConfig(agent))
  assert.match(ofAgent.warnings.join('\n'), /^certificate_file \S+: the certificate ended at /)
})

test('a certificate that names another node than node_id is warned of', async t => {
  const relay = await makeRelayFolder(t)
  const config = loadConfig(relay)
  const { general } = config
  const warnings = await relayCertificateWarnings({ ...config, general: { ...general, nodeId: 'r00t' } })
  assert.match(
    warnings.join('\n'),
    /^general\.https_certificate_file \S+: the certificate is that of root, and general\.node_id is r00t: [^\n]*$/
  )
  const agent = await makeAgentFolder(t)
  const file = join(agent, 'agent.conf')
  await writeFile(file, (await readFile(file, 'utf8')).replace('node_id = "root"', 'node_id = "r00t"'))
  const ofAgent = await checkAgentStart(loadAgentConfig(agent))
  assert.match(
    ofAgent.warnings.join('\n'),
    /^certificate_file \S+: the certificate is that of root, and node_id is r00t/
  )
})

test('places that cannot be are found: a socket, ports that are the same, commands that are folders', async t => {
  const folder = await makeRelayFolder(t)
  const { general, ...config } = loadConfig(folder)
  const check = async (changes: Partial<typeof general>) =>
    (await checkRelayStart({ ...config, general: { ...general, ...changes } })).problems
  assert.deepEqual(await check({ socket: join(folder, 'sock') }), [])
  assert.match(
    (await check({ socket: join(folder, 'none/sock') })).join(),
    /general\.socket: the folder of .*none\/sock is not there: make it/
  )
  assert.match(
    (await check({ socket: join(folder, 'main.conf') })).join(),
    /main\.conf is there already, and is no socket/
  )
  const everywhere = { host: '0.0.0.0', port: general.listen.port }
  assert.match(
    (await check({ proxyListen: general.listen })).join(),
    /^general\.proxy_listen 127\.0\.0\.1:3030 and general\.listen 127\.0\.0\.1:3030 are the same port/
  )
  assert.match(
    (await check({ proxyListen: everywhere })).join(),
    /general\.proxy_listen 0\.0\.0\.0:3030 and general\.listen/
  )
  assert.deepEqual(await check({ proxyListen: { host: '127.0.0.2', port: general.listen.port } }), [])

  const command = '/etc'
  const relay = await checkRelayStart({ ...config, general, remoteRun: { ...config.remoteRun, command } })
  assert.match(relay.warnings.join('\n'), /^remote_run\.command \/etc is no file: remote runs fail/m)
  const own = loadAgentConfig(await makeAgentFolder(t))
  const agent = await checkAgentStart({ ...own, agent: { ...own.agent, command } })
  assert.match(agent.warnings.join('\n'), /^agent\.command \/etc is no file: runs fail/m)
  await rm(join(folder, 'ca.pem'))
  assert.match(
    (await checkRelayStart({ ...config, general })).problems.join(),
    /tree\.ca_file .* cannot be read: there is no/
  )
})

test('a file to share and a place to receive one that an agent would refuse are warned of, by their entries', async t => {
  const places = await temporaryFolder(t)
  const file = join(places, 'file')
  await writeFile(file, '', { mode: 0o644 })
  const share = (path: string) => `[[agent.share]]\ntarget = "root"\nfile_id = "f"\npath = "${path}"\nttl = "1h"\n`
  const receive = (path: string) => `[[agent.receive]]\nsource = "node-2"\nfile_id = "f"\ndestination = "${path}"\n`
  const entries = [share(file), share(places), receive(file), receive(join(places, 'new/f')), receive(places)]
  const folder = await makeAgentFolder(t, `\n${entries.join('')}`)
  const { problems, warnings } = await checkAgentStart(loadAgentConfig(folder))
  assert.deepEqual(problems, [])
  assert.deepEqual(
    warnings.map(warning => warning.replaceAll(places, '<places>')),
    [
      'agent.share[1].path: <places> is a folder; name a file in it',
      'agent.receive[1].destination: <places>/new/f cannot be written: there is no folder <places>/new; create it, or check the path',
      'agent.receive[2].destination: <places> is a folder; name a file in it'
    ]
  )
})
