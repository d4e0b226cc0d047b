import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { readCredentials } from '../../src/links/wire/credentials.js'
import { makeNodeCertificate } from '../support/parts/node-certificates.js'

test('a certificate or key that cannot be used for a link is named', async () => {
  const { pem: cert } = await makeNodeCertificate('a')
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const names = { cert: 'certificate_file /a.pem', key: 'key_file /a.key' }
  for (const [pair, says] of [
    [{ cert: '', key }, /^Error: certificate_file \/a\.pem is empty: restore it from a backup/],
    [{ cert: 'junk', key }, /^Error: certificate_file \/a\.pem holds no readable certificate in PEM form/],
    [{ cert, key: 'junk' }, /^Error: key_file \/a\.key holds no readable private key in PEM form/],
    [{ cert, key }, /^Error: key_file \/a\.key is not the key of certificate_file \/a\.pem/]
  ] as const) {
    assert.throws(() => readCredentials(pair, names), says)
  }
})
