import assert from 'node:assert/strict'
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { CredentialsConfig } from '../../../src/config/services/service-config.js'
import { openCredentials } from '../../../src/services/credentials/open-credentials.js'
import { WatchedSecret } from '../../../src/services/credentials/watched-secret.js'
import { eventually } from '../../support/eventually.js'
import { makeChain } from '../../support/network/openssl-certificate.js'
import { keptLog, ownFolder, serviceConfig } from '../../support/parts/own-services.js'

const HEAD = { method: 'GET', target: '/', fields: [] }

/** A folder that is mounted as the kubelet does: files are links into `..data`, and that is a link to a dated folder. */
async function mountSecret(folder: string, content: Readonly<Record<string, string>>) {
  let count = 0
  const swap = async (other: Readonly<Record<string, string>>) => {
    count += 1
    const dated = `..2026_11_30_${count}`
    await mkdir(join(folder, dated), { recursive: true })
    for (const [name, text] of Object.entries(other)) await writeFile(join(folder, dated, name), text)
    await symlink(dated, join(folder, '..data_tmp'))
    await rename(join(folder, '..data_tmp'), join(folder, '..data'))
    if (count > 1) await rm(join(folder, `..2026_11_30_${count - 1}`), { recursive: true })
  }
  await swap(content)
  for (const name of Object.keys(content)) await symlink(join('..data', name), join(folder, name))
  return swap
}

async function open(credentials: CredentialsConfig, caFile?: string) {
  const { logger, lines } = keptLog()
  const config = serviceConfig({ url: 'https://builds.internal', credentials, caFile })
  const opened = await openCredentials(config, { key: 'builds', logger })
  assert.ok(opened !== undefined)
  return { opened, lines }
}

test('a secret that is mounted is read again when the kubelet exchanges it, both of its files at once', async t => {
  const secret = await ownFolder(t)
  const swap = await mountSecret(secret, { username: 'one', password: 'first' })
  const { opened, lines } = await open({ type: 'basic', place: { kind: 'secret', folder: secret } })
  t.after(() => opened.close())
  const seen = new Set<string>()
  const present = async () => {
    const [, value = ''] = (await opened.changeFor(HEAD)).added
    const pair = Buffer.from(value.replace('Basic ', ''), 'base64').toString()
    seen.add(pair)
    return pair
  }
  assert.equal(await present(), 'one:first')
  await swap({ username: 'two', password: 'second' })
  await eventually('the second one', async () => (await present()) === 'two:second')
  await swap({ username: 'three', password: 'third' })
  assert.equal(await opened.refused(await opened.changeFor(HEAD)), true)
  assert.equal(await present(), 'three:third')
  assert.equal(await opened.refused(await opened.changeFor(HEAD)), false)
  await rm(join(secret, '..data'))
  assert.equal(await opened.refused(await opened.changeFor(HEAD)), false)
  assert.equal(await present(), 'three:third')
  assert.deepEqual([...seen], ['one:first', 'two:second', 'three:third'])
  assert.match(lines.join('\n'), /"warn".*cannot use the new credentials of a service/)
  assert.ok(!/first|second|third/.test(lines.join('\n')))
})

test('a certificate whose key is not there yet waits for it, and the old pair stays', async t => {
  const folder = await ownFolder(t)
  const [one, two] = await Promise.all(
    ['one', 'two'].map(async name => {
      await mkdir(join(folder, name))
      return makeChain(join(folder, name), 1)
    })
  )
  assert.ok(one !== undefined && two !== undefined)
  const [path, keyPath] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  await writeFile(path, one.cert)
  await writeFile(keyPath, one.key)
  const { opened, lines } = await open({
    type: 'client_certificate',
    place: { kind: 'file', path },
    keyPlace: { kind: 'file', path: keyPath }
  })
  t.after(() => opened.close())
  await opened.changeFor(HEAD)
  const options = opened.tls()
  assert.deepEqual(options, one)
  await writeFile(path, two.cert)
  await eventually('the problem', () => lines.some(line => /is not the key of/.test(line)))
  assert.equal(opened.tls(), options)
  await writeFile(keyPath, two.key)
  await eventually('the other pair', () => opened.tls() !== options)
  assert.deepEqual(opened.tls(), two)
  assert.equal(opened.tls(), opened.tls(), 'the same object until it changes')
})

test('certificate and key may be in one file, and issuers are read again', async t => {
  const folder = await ownFolder(t)
  const { cert, key } = await makeChain(folder, 1)
  const [path, ca] = [join(folder, 'pair.pem'), join(folder, 'ca.pem')]
  await writeFile(path, `${cert}${key}`)
  await writeFile(ca, 'no certificate')
  const { opened, lines } = await open(
    { type: 'client_certificate', place: { kind: 'file', path }, keyPlace: undefined },
    ca
  )
  t.after(() => opened.close())
  await assert.rejects(async () => opened.changeFor(HEAD), /its ca_file cannot be used/)
  assert.match(lines.join('\n'), /ca_file .*holds no readable certificate/)
  await writeFile(ca, cert)
  await eventually('the issuer', async () => {
    try {
      return await opened.changeFor(HEAD)
    } catch {
      return false
    }
  })
  const options = opened.tls()
  assert.equal(options.ca, cert)
  assert.equal(options.cert, `${cert}${key}`)
  assert.equal(opened.tls(), options)
})

test('a secret of the environment is read at the start', async t => {
  process.env.TREELINE_TEST_SECRET = 'of the environment'
  t.after(() => {
    delete process.env.TREELINE_TEST_SECRET
  })
  const { opened } = await open({ type: 'token', place: { kind: 'env', name: 'TREELINE_TEST_SECRET' } })
  t.after(() => opened.close())
  assert.deepEqual((await opened.changeFor(HEAD)).added, ['Authorization', 'Token of the environment'])
})

for (const [what, type, content, problem] of [
  ['is empty', 'bearer', ' \n', /it is empty/],
  ['has two lines', 'bearer', 'a\nX-Injected: b', /more than one line/],
  ['has a control character', 'header', 'a\x01b', /control characters/],
  ['has no colon', 'basic', 'robot', /expected user:password/],
  ['has no user', 'basic', ':password', /expected user:password/],
  ['has two lines for basic', 'basic', 'robot:a\r\nb', /more than one line/],
  ['is far too long', 'bearer', 'a'.repeat(20_000), /more than 16384 bytes/],
  ['is a whole disk', 'bearer', 'a'.repeat(70_000), /may have 65536 at most/]
] as const) {
  test(`a secret that ${what} is not used, and the log does not show it`, async t => {
    const path = join(await ownFolder(t), 'secret')
    await writeFile(path, content)
    const place = { kind: 'file', path } as const
    const { opened, lines } = await open(type === 'header' ? { type, place, header: 'X-A' } : { type, place })
    t.after(() => opened.close())
    assert.throws(() => opened.changeFor(HEAD), /cannot be used where it is reached/)
    assert.match(lines.join('\n'), problem)
    assert.ok(!lines.join('\n').includes('robot') && !lines.join('\n').includes('aaaa'))
  })
}

test('files that are replaced while they are read are read again as they belong together', async t => {
  const folder = await ownFolder(t)
  const files = [join(folder, 'one'), join(folder, 'two')]
  for (const file of files) await writeFile(file, 'old')
  let readings = 0
  const { logger } = keptLog()
  const secret = await WatchedSecret.open({
    key: 'builds',
    logger,
    name: 'a pair',
    files,
    read: async () => {
      const [one = '', two = ''] = files
      const first = await readFile(one, 'utf8')
      readings += 1
      if (readings === 1) for (const file of files) await writeFile(file, 'newer')
      return [first, await readFile(two, 'utf8')]
    }
  })
  t.after(() => secret.close())
  assert.deepEqual(secret.value, ['newer', 'newer'])
  assert.equal(readings, 2)
})

test('an answer does not wait for a file that cannot be read to its end', async t => {
  const file = join(await ownFolder(t), 'secret')
  await writeFile(file, 'first')
  const { logger } = keptLog()
  let readings = 0
  const read = () => {
    readings += 1
    return readings === 1 ? readFile(file, 'utf8') : new Promise<string>(() => undefined)
  }
  const secret = await WatchedSecret.open({ key: 'builds', logger, name: 'a file', files: [file], read })
  t.after(() => secret.close())
  await secret.lookSoon()
  assert.equal(readings, 2)
  assert.equal(secret.value, 'first')
})
