import assert from 'node:assert/strict'
import { readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { DEFAULT_CONFIG_DIRECTORY, readServeOptions } from '../../src/cli/options/serve-options.js'
import { makeFifo } from '../support/machine/make-fifo.js'
import { temporaryFolder, treeline } from '../support/machine/treeline-command.js'
import { makeCertificate } from '../support/network/openssl-certificate.js'

test('serve is understood with and without its name', () => {
  for (const args of [
    ['serve', '-c', 'dir', '-t'],
    ['-c', 'dir', '-t'],
    ['--config=dir', '--test'],
    ['-t', '-cdir']
  ]) {
    assert.deepEqual(readServeOptions(args), { config: 'dir', test: true, strict: false })
  }
  assert.deepEqual(readServeOptions(['serve']), { config: DEFAULT_CONFIG_DIRECTORY, test: false, strict: false })
})

test('anything else is left to the other commands', () => {
  for (const args of [
    [],
    ['run', '-c', 'dir'],
    ['--help'],
    ['--version'],
    ['serve', '--help'],
    ['serve', 'x'],
    ['-c']
  ]) {
    assert.equal(readServeOptions(args), undefined)
  }
})

test('a mistake is told with exit code 2', async t => {
  for (const args of [['serve', 'x'], ['-c'], ['serve', '--what']]) {
    const { code, stderr } = await treeline(t, args)
    assert.equal(code, 2)
    assert.match(stderr, /^treeline: .*\n(?:for example: .*\n)?\(--help shows the usage\)/)
  }
  assert.match((await treeline(t, ['serve', '--help'])).stdout, /--config <dir>/)
})

test('serve --test: in order, usable with errors, unusable', async t => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'logging.conf'), '')
  const check = async (mainConf: string) => {
    await writeFile(join(folder, 'main.conf'), mainConf)
    return treeline(t, ['serve', '--config', folder, '--test'])
  }
  const list = join(folder, 'nodeslist.json')
  await writeFile(list, '{"root": {"hostname": "root.example.com", "policy-server": "root"}}')
  const command = `[remote_run]\ncommand = "${process.execPath}"\n`
  const root = `${command}[general]\nnode_id = "root"\nnodes_list_file = "nodeslist.json"\n`
  const good = await check(root)
  assert.deepEqual(good, { code: 0, stdout: `${folder}: the configuration is in order\n`, stderr: '' })

  const withError = await check(`${root}[processing.reporting]\noutput = "database"\n`)
  assert.deepEqual(
    [withError.code, withError.stdout],
    [0, `${folder}: the configuration can be used; see the errors above\n`]
  )
  assert.match(withError.stderr, /^treeline: error: main\.conf: processing\.reporting\.output: /)

  for (const [text, message] of [
    ['{"root":', /nodeslist\.json: it is not complete JSON/],
    ['{"root": {"policy-server": "root"}}', /"root" has the hostname \(missing\)/],
    [
      JSON.stringify({ a: { hostname: 'a', 'policy-server': 'b' }, b: { hostname: 'b', 'policy-server': 'a' } }),
      /cycle/
    ]
  ] as const) {
    await writeFile(list, text)
    const badList = await check(root)
    assert.deepEqual([badList.code, badList.stdout], [0, withError.stdout])
    assert.match(badList.stderr, /^treeline: error: general\.nodes_list_file: /)
    assert.match(badList.stderr, message)
  }
  await writeFile(list, '{"root": {"hostname": "root.example.com", "policy-server": "root"}}')
  const certificates = join(folder, 'certs.pem')
  for (const [text, message] of [
    ['nothing of the kind', /certs\.pem holds no certificate$/m],
    ['-----BEGIN CERTIFICATE-----\nAAAA\n', /certs\.pem: line 1: this certificate has no end/],
    ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', /certs\.pem: line 1: this is no certificate/]
  ] as const) {
    await writeFile(certificates, text)
    const { code, stderr } = await check(`${root}nodes_certs_file = "certs.pem"\n`)
    assert.equal(code, 0, stderr)
    assert.match(stderr, /^treeline: error: general\.nodes_certs_file: /)
    assert.match(stderr, message)
  }
  const folderThere = await check(`${root}nodes_certs_file = "."\n`)
  assert.match(folderThere.stderr, /error: general\.nodes_certs_file \S+ cannot be read: it is a folder; name a file/)
  await makeFifo(join(folder, 'fifo'))
  const fifos = ['nodes_certs_file', 'https_certificate_file', 'https_key_file'].map(key => `${key} = "fifo"\n`)
  const fifoThere = await check(`${root}${fifos.join('')}[tokens]\nadmin_file = "fifo"\nclients_file = "fifo"\n`)
  assert.deepEqual(
    new Set(Array.from(fifoThere.stderr.matchAll(/(\w+\.\w+)\S* .*it is a FIFO; name a file/g), ([, key]) => key)),
    new Set([...fifos.map(line => `general.${line.split(' ')[0]}`), 'tokens.admin_file', 'tokens.clients_file'])
  )
  await rm(list)
  assert.match((await check(root)).stderr, /nodeslist\.json cannot be read: there is no such file; check the path\n$/)

  await writeFile(list, '{}')
  const files = 'https_certificate_file = "cert.pem"\nhttps_key_file = "key.pem"\n'
  const upstream = '[output.upstream]\nhost = "root.example.com"\nserver_certificate_file = "root.pem"\n'
  const withoutFiles = await check(`${root.replace('"root"', '"relay-1"')}${files}${upstream}`)
  assert.deepEqual([withoutFiles.code, withoutFiles.stdout], [2, ''])
  assert.deepEqual(
    [...withoutFiles.stderr.matchAll(/^treeline: (\S+) \S+ cannot be read: there is no such file/gm)].map(
      ([, key]) => key
    ),
    ['general.https_certificate_file', 'general.https_key_file', 'output.upstream.server_certificate_file']
  )
  const bad = await check('[general]\nnode_id = "relay-1"\n')
  assert.deepEqual([bad.code, bad.stdout], [2, ''])
  assert.match(bad.stderr, /output\.upstream\.host/)
})

test('serve --test and agent --test name what cannot work: files of another kind, keys of another certificate, short tokens', async t => {
  const folder = await temporaryFolder(t)
  const write = (name: string, text: string) => writeFile(join(folder, name), text)
  const [one, other] = [await makeCertificate(join(folder, 'one')), await makeCertificate(join(folder, 'other'))]
  await write('nodeslist.json', '{}')
  await write('token', 'short\n')
  await write('junk', 'nothing of the kind')
  const relay = (cert: string, key: string, more = '') =>
    `[general]\nnode_id = "root"\nnodes_list_file = "nodeslist.json"\nhttps_certificate_file = "${cert}"\nhttps_key_file = "${key}"\n${more}`
  const check = async (mainConf: string, ...options: string[]) => {
    await write('main.conf', mainConf)
    return treeline(t, ['serve', '--config', folder, '--test', ...options])
  }
  for (const [text, message] of [
    [
      relay(one.certFile, other.keyFile),
      /general\.https_key_file .*other\.key is not the key of general\.https_certificate_file/
    ],
    [
      relay('junk', one.keyFile),
      /general\.https_certificate_file .*junk holds no readable certificate in PEM form: name the file/
    ],
    [relay(one.certFile, 'junk'), /general\.https_key_file .*junk holds no readable private key/],
    [
      relay(one.certFile, one.keyFile, '[tokens]\nadmin_file = "token"\n'),
      /tokens\.admin_file .*at least 16 characters/
    ]
  ] as const) {
    const { code, stderr } = await check(text)
    assert.equal(code, 2, stderr)
    assert.match(stderr, message)
  }
  const absent = relay(one.certFile, one.keyFile, '[remote_run]\ncommand = "/nowhere/agent"\n')
  const warned = await check(absent)
  assert.equal(warned.code, 0)
  assert.match(warned.stderr, /warning: remote_run\.command \/nowhere\/agent is not there/)
  const strict = await check(absent, '--strict')
  assert.equal(strict.code, 2)
  assert.match(strict.stderr, /warning: remote_run\.command .*\n.*: --strict takes the warnings above for errors\n$/s)
  const good = await check(
    relay(one.certFile, one.keyFile, `[remote_run]\ncommand = "${process.execPath}"\n`),
    '--strict'
  )
  assert.equal(good.code, 0, good.stderr)
  assert.match(good.stderr, /^treeline: note: logging\.conf: there is none.*\n$/)
  assert.equal((await check(`${absent}[remote_rum]\nenabled = false\n`, '--strict')).code, 2)

  const agent = async (key: string) => {
    const files = `certificate_file = "${one.certFile}"\nkey_file = "${key}"\n`
    await write(
      'agent.conf',
      `node_id = "n"\n${files}[upstream]\nhost = "x"\nserver_certificate_file = "${one.certFile}"\n`
    )
    return treeline(t, ['agent', '--config', folder, '--test'])
  }
  await write('marked.key', `\uFEFF${await readFile(one.keyFile, 'utf8')}`)
  for (const key of [one.keyFile, join(folder, 'marked.key')]) assert.equal((await agent(key)).code, 0, key)
  const absentFiles = ['certificate_file', 'key_file', 'signing_key_file'].map(key => `${key} = "no-${key}"\n`).join('')
  await write('agent.conf', `node_id = "n"\n${absentFiles}[upstream]\nhost = "x"\nserver_certificate_file = "none"\n`)
  const missing = await treeline(t, ['agent', '--config', folder, '--test'])
  assert.equal(missing.code, 2)
  assert.deepEqual(
    [...missing.stderr.matchAll(/^treeline: (\S+) \S+ cannot be read: there is no such file/gm)].map(([, key]) => key),
    ['certificate_file', 'key_file', 'signing_key_file', 'upstream.server_certificate_file']
  )
  const wrong = await agent(other.keyFile)
  assert.deepEqual(
    [wrong.code, /key_file .*other\.key is not the key of certificate_file/.test(wrong.stderr)],
    [2, true]
  )
})

test('--strict without --test is refused, as it would be ignored', async t => {
  for (const program of ['serve', 'agent']) {
    const { code, stderr } = await treeline(t, [program, '--config', '/nowhere', '--strict'])
    assert.deepEqual(
      [code, stderr],
      [2, 'treeline: --strict goes with --test: a start tells its warnings, and goes on\n']
    )
  }
})

test('what is misspelled is told together with what is missing by it', async t => {
  const folder = await temporaryFolder(t)
  const cases = [
    ['serve', 'main.conf', '[genral]\nnode_id = "root"\n', 'genral: unknown key, ignored; did you mean general?'],
    [
      'serve',
      'main.conf',
      '[general]\nnodeid = "root"\n',
      'general.nodeid: unknown key, ignored; did you mean general.node_id?'
    ],
    ['agent', 'agent.conf', '[upstrem]\nhost = "root"\n', 'upstrem: unknown key, ignored; did you mean upstream?']
  ] as const
  for (const [program, file, text, hint] of cases) {
    await writeFile(join(folder, file), text)
    const { code, stderr } = await treeline(t, [program, '--config', folder, '--test'])
    assert.equal(code, 2)
    assert.ok(stderr.includes(`treeline: warning: ${file}: ${hint}\n`), stderr)
    assert.ok(stderr.split('\n').length > 2, stderr)
  }
  await writeFile(join(folder, 'main.conf'), '[genral]\n')
  const { code, stderr } = await treeline(t, ['nodes', 'list', '--config', folder])
  assert.equal(code, 2)
  assert.match(stderr, /node_id.*\nwarning: main\.conf: genral: unknown key, ignored; did you mean general\?/s)
})

test('what files say and what the system says of them is told in one line of plain text', async t => {
  const folder = await temporaryFolder(t)
  const write = (name: string, text: string | Buffer) => writeFile(join(folder, name), text)
  await write('list.json', '{"root": {"hostname": "root\n\u001b[31m"\n\n} no }')
  await write('junk', '\u001b[31m\u009bnode\u0007')
  const general = (id: string, list: string) => `[general]\n${id}\nnodes_list_file = "${list}"\n`
  for (const [text, message] of [
    [
      general('node_id_file = "none"', 'x'),
      /node_id_file: \S+none cannot be read, and node_id is not set: there is no such/
    ],
    [general('node_id_file = "."', 'x'), /node_id_file: \S+ cannot be read, and node_id is not set: \S+ is not a file/],
    [general('node_id_file = "junk"', 'x'), /node_id_file: expected a node id .*, got "\\u001b\[31m\?node\\u0007"/],
    [general('node_id = "root"', 'list.json'), /it is not complete JSON: .* (?:in JSON|is not valid JSON)/],
    [general('node_id = "root"', 'none.json'), /none\.json cannot be read: there is no such file/]
  ] as const) {
    await write('main.conf', text)
    const { stderr } = await treeline(t, ['serve', '--config', folder, '--test'])
    assert.match(stderr, message)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    assert.doesNotMatch(stderr, /ENOENT|[\x00-\x09\x0b-\x1f\x7f-\x9f]/)
    assert.deepEqual(stderr.match(/^(?!treeline: )..*/gm), null, stderr)
  }
})

test('a configuration file in place of its folder is told as such', async t => {
  const file = join(await temporaryFolder(t), 'main.conf')
  await writeFile(file, '[general]\nnode_id = "root"\n')
  const { code, stderr } = await treeline(t, ['serve', '--config', file, '--test'])
  assert.equal(code, 2)
  assert.equal(stderr, `treeline: --config ${file} is a file; name the folder that it is in\n`)
})

test('a configuration folder that cannot be looked at is told as such', async t => {
  const folder = join(await temporaryFolder(t), 'round')
  await symlink(folder, folder)
  for (const command of ['serve', 'agent']) {
    const { code, stderr } = await treeline(t, [command, '--config', folder])
    assert.equal(code, 2, stderr)
    assert.match(stderr, /^treeline: (main|agent)\.conf: cannot be read: it is a symbolic link that leads to itself/)
    assert.doesNotMatch(stderr, /^ +at /m, 'no stack trace')
  }
})
