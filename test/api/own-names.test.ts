import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeAgentCertificate } from '../../demo/pki.js'
import { ownNames } from '../../src/api/callers/own-names.js'
import { parseConfig } from '../../src/config/config-parser.js'
import { makeRelayParts } from '../support/parts/relay-parts.js'

test('a relay has the names of its configuration, its certificate and the nodes list, read again with a reload', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'treeline-names-'))
  const parts = await makeRelayParts()
  t.after(async () => {
    await parts.close()
    await rm(folder, { recursive: true })
  })
  const file = join(folder, 'relay.cert')
  const general = [
    'node_id = "root"',
    'hostnames = ["alias.example"]',
    `https_certificate_file = "${file}"`,
    `https_key_file = "${file}"`
  ]
  const read = () => parseConfig(`[general]\n${general.join('\n')}`, '', '/', () => '')
  let config = read()
  const names = ownNames(() => config, parts.services.topology)
  const own = parts.services.topology().find('root')?.hostname ?? ''
  for (const name of ['alias.example', own]) assert.ok(names().includes(name), name)
  const { certificatePem } = await makeAgentCertificate({ nodeId: 'root', hostname: 'certified.example', kind: 'ec' })
  await writeFile(file, certificatePem)
  assert.ok(!names().includes('certified.example'))
  config = read()
  assert.ok(names().includes('certified.example'))
})
