import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { freePorts } from '../../demo/free-ports.js'
import { eventually } from '../support/eventually.js'
import { startTreeline, temporaryFolder, treeline } from '../support/machine/treeline-command.js'
import { makeNodeCertificate } from '../support/parts/node-certificates.js'

test('a client keeps the token and certificates that it has, whatever is in the place of their files', async t => {
  const folder = await temporaryFolder(t)
  const [token, ca] = [join(folder, 'token'), join(folder, 'ca.pem')]
  const { pem: certificate } = await makeNodeCertificate()
  await writeFile(token, 'a-token-of-some-length', { mode: 0o600 })
  await writeFile(ca, certificate)
  const [port = 0] = await freePorts(1)
  const options = ['--client-key', 'git', '--server-url', 'https://127.0.0.1:1', '--base-url', 'http://127.0.0.1:1']
  const args = ['client', ...options, '--health-listen', `127.0.0.1:${port}`, '--token-file', token, '--ca', ca]
  const client = startTreeline(t, args)
  await client.printed('"msg":"started"')
  const output = () => client.soFar()
  const refusals = () => output().split('cannot reload').length - 1
  const reloaded = async (expected: number) => {
    client.child.kill('SIGHUP')
    await eventually('a reload that is refused', () => refusals() === expected)
  }

  await rm(token)
  await promisify(execFile)('mkfifo', [token])
  await reloaded(1)
  assert.match(output(), /--token-file .* is a FIFO/)
  await rm(token)
  await writeFile(token, 'a-token-of-some-length', { mode: 0o600 })
  for (const [index, text] of ['', 'junk', certificate.slice(0, 200)].entries()) {
    await writeFile(ca, text)
    await reloaded(index + 2)
  }
  assert.match(output(), /--ca .*ca\.pem holds no certificate/)
  assert.match(output(), /--ca .*ca\.pem ends within a certificate/)

  const second = await treeline(t, args)
  assert.deepEqual(
    [second.code, second.stderr.includes('ends within a certificate')],
    [2, true],
    'at the start as well'
  )
  await writeFile(ca, certificate)
  const third = await treeline(t, args)
  assert.match(third.stderr, /--health-listen: cannot listen on 127\.0\.0\.1:\d+: another program listens there/)
  client.child.kill('SIGHUP')
  await client.printed('reloaded; nothing changed')
  client.child.kill('SIGTERM')
  assert.equal((await client.ended).code, 0)
})
