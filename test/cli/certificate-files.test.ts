import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { temporaryFolder, treeline } from '../support/machine/treeline-command.js'
import { makeCertificate } from '../support/network/openssl-certificate.js'

const JUNK = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
const NONE = /holds no readable certificate in PEM form: name the file/
const SECOND = /: the certificate 2 of the 3 in it cannot be read: remove it, or restore the file/

/** Files that hold no certificate, or one that cannot be read behind a good one. */
async function makeFiles(folder: string) {
  const [own, other] = [await makeCertificate(join(folder, 'own')), await makeCertificate(join(folder, 'other'))]
  const texts = {
    junk: 'nothing of the kind',
    empty: '',
    half: `${own.cert}${JUNK}${other.cert}`,
    cut: JUNK.slice(0, 40)
  }
  for (const [name, text] of Object.entries(texts)) await writeFile(join(folder, name), text)
  return { own, path: (name: keyof typeof texts) => join(folder, name) }
}

for (const [setting, name, message] of [
  ['general.ca_path', 'junk', NONE],
  ['general.ca_path', 'half', SECOND],
  ['general.ca_path', 'cut', NONE],
  ['general.https_certificate_file', 'half', SECOND],
  ['output.upstream.server_certificate_file', 'junk', NONE],
  ['output.upstream.server_certificate_file', 'half', SECOND]
] as const) {
  test(`a relay and its --test alike refuse ${setting} with a file that is ${name}`, async t => {
    const folder = await temporaryFolder(t)
    const { own, path } = await makeFiles(folder)
    const fileOf = (each: string) => (each === setting ? path(name) : own.certFile)
    const general = {
      node_id: 'relay-a',
      nodes_list_file: join(folder, 'nodes.json'),
      listen: '127.0.0.1:0',
      peer_authentication: 'cert_validation',
      ca_path: fileOf('general.ca_path'),
      https_certificate_file: fileOf('general.https_certificate_file'),
      https_key_file: own.keyFile
    }
    const pinned = fileOf('output.upstream.server_certificate_file')
    await writeFile(
      join(folder, 'main.conf'),
      `[general]\n${lines(general)}[output.upstream]\n${lines({ host: '127.0.0.1:1', server_certificate_file: pinned })}` +
        `[storage]\n${lines({ path: join(folder, 'storage') })}[shared_files]\n${lines({ path: join(folder, 'files') })}`
    )
    await writeFile(general.nodes_list_file, '{}')
    await bothRefuse(t, 'serve', folder, `${setting} ${path(name)}`, message)
  })
}

for (const [setting, name, message] of [
  ['upstream.ca_file', 'junk', NONE],
  ['upstream.ca_file', 'empty', / is empty: restore it/],
  ['upstream.ca_file', 'half', SECOND],
  ['upstream.server_certificate_file', 'half', SECOND]
] as const) {
  test(`an agent and its --test alike refuse ${setting} with a file that is ${name}`, async t => {
    const folder = await temporaryFolder(t)
    const { own, path } = await makeFiles(folder)
    const agent = { node_id: 'node-1', certificate_file: own.certFile, key_file: own.keyFile }
    const upstream = { host: '127.0.0.1:1', [setting.replace('upstream.', '')]: path(name) }
    await writeFile(
      join(folder, 'agent.conf'),
      `${lines(agent)}[upstream]\n${lines(upstream)}[storage]\n${lines({ path: join(folder, 'storage') })}[agent]\n${lines({ command: '/bin/true' })}`
    )
    await bothRefuse(t, 'agent', folder, `${setting} ${path(name)}`, message)
  })
}

async function bothRefuse(t: TestContext, command: 'serve' | 'agent', folder: string, named: string, why: RegExp) {
  for (const [more, exitCode] of [
    [['--test'], 2],
    [[], 3]
  ] as const) {
    const { code, stderr } = await treeline(t, [command, '--config', folder, ...more])
    assert.equal(code, exitCode, stderr)
    assert.ok(stderr.includes(named), stderr)
    assert.match(stderr, why)
  }
}

function lines(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([key, value]) => `${key} = "${value}"\n`)
    .join('')
}
