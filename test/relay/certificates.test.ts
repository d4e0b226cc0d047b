import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeAgentCertificate } from '../../demo/pki.js'
import { createCertificateBook } from '../../src/relay/membership/certificate-book.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'
import { makeRevocations } from '../support/parts/revocations.js'

test('a revoked certificate makes nobody a node or the policy server, whatever tree and files say', async t => {
  const folder = await temporaryFolder(t)
  const { certificateDer, certificatePem, fingerprint } = await makeAgentCertificate({ nodeId: 'rel-2', hostname: 'x' })
  const file = join(folder, 'policy-server.pem')
  await writeFile(file, certificatePem)
  const { revocations, revoke } = await makeRevocations(join(folder, 'revocations'))
  const book = createCertificateBook({
    tree: {
      onChange: () => () => undefined,
      nodeByFingerprint: shown => (shown === fingerprint ? 'rel-2' : undefined),
      certificatesOf: id => (id === 'rel-2' ? [certificateDer] : [])
    },
    revocations,
    onRevocation: listener => revocations.onChange(listener)
  })
  book.readPolicyServer(file)
  const seen = () => [book.nodeOf(fingerprint), book.isPolicyServer(fingerprint), book.of('rel-2').length]
  assert.deepEqual(seen(), ['rel-2', true, 1])
  const version = book.version()
  await revoke('rel-2', fingerprint)
  assert.deepEqual(seen(), [undefined, false, 0])
  assert.notEqual(book.version(), version, 'open connections are judged again')
})
