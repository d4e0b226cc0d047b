import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CertificatesListError, type ForeignBlock, parseCertificates } from '../../src/tree/import/certificates-list.js'
import { makeNodeCertificate } from '../support/parts/node-certificates.js'

const FILE = '/var/lib/allnodescerts.pem'

function parse(text: string) {
  return [...parseCertificates(Buffer.from(text), FILE)]
}

function refused(text: string, pattern: RegExp): void {
  assert.throws(
    () => parse(text),
    (error: unknown) => {
      assert.ok(error instanceof CertificatesListError)
      assert.match(error.message, pattern)
      assert.ok(error.message.includes(FILE))
      return true
    }
  )
}

test('concatenated certificates are read, with whatever stands between them', async () => {
  const [a, b] = await Promise.all([makeNodeCertificate('a'), makeNodeCertificate('b')])
  const read = parse(`# of a\n${a.pem}\n  subject: b\n${b.pem.replaceAll('\n', '\r\n')}\n`)
  assert.deepEqual(
    read.map(({ der }) => der),
    [a.der, b.der]
  )
  assert.deepEqual(
    read.map(({ fingerprint }) => fingerprint.toString('hex')),
    [a.fingerprint, b.fingerprint]
  )
  assert.equal(read[0]?.line, 2)
  assert.deepEqual(parse(''), [])
})

test('a file that was cut off is refused, wherever within a certificate', async () => {
  const [a, b] = await Promise.all([makeNodeCertificate('a'), makeNodeCertificate('b')])
  const text = a.pem + b.pem
  const lastByte = text.trimEnd().length
  for (let length = a.pem.length + 1; length < lastByte; length++) refused(text.slice(0, length), /line \d+/)
  assert.equal(parse(text.slice(0, lastByte)).length, 2)
})

test('blocks of other kinds are skipped and told; a byte order mark says nothing', async () => {
  const [a, b] = await Promise.all([makeNodeCertificate('a'), makeNodeCertificate('b')])
  const block = (label: string) => `-----BEGIN ${label}-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END ${label}-----\n`
  const kinds = ['PRIVATE KEY', 'TRUSTED CERTIFICATE', 'PKCS7', 'X509 CRL']
  const text = `\uFEFF${a.pem}${kinds.map(block).join('')}${b.pem.replaceAll('CERTIFICATE', 'X509 CERTIFICATE')}`
  const skipped: ForeignBlock[] = []
  const read = [...parseCertificates(Buffer.from(text), FILE, foreign => skipped.push(foreign))]
  assert.deepEqual(
    read.map(({ der }) => der),
    [a.der, b.der]
  )
  assert.deepEqual(
    skipped.map(({ label }) => label),
    kinds
  )
  assert.equal(text.split('\n')[(skipped[0]?.line ?? 0) - 1], '-----BEGIN PRIVATE KEY-----')
})

test('blocks that are broken are refused, naming the line', async () => {
  const { pem } = await makeNodeCertificate('a')
  refused(`${pem}-----BEGIN PRIVATE KEY-----\nAAAA\n${pem}`, /line \d+: expected -----END PRIVATE KEY-----, found/)
  refused(`${pem}-----BEGIN PKCS7-----\nAAAA\n`, /this pkcs7 has no end/)
  refused(`-----END CERTIFICATE-----\n${pem}`, /line 1: expected -----BEGIN/)
  refused(pem.replace('\n', '\n!'), /line 1: this certificate is not base64/)
  refused('-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n', /not base64/)
  refused(`-----BEGIN CERTIFICATE-----\n${'A'.repeat(200_000)}\n-----END CERTIFICATE-----\n`, /too long/)
})

test('nothing but its own error is thrown, whatever the bytes', () => {
  const line = fc.oneof(
    fc.constantFrom('-----BEGIN CERTIFICATE-----', '-----END CERTIFICATE-----', 'AAAA', '-', ''),
    fc.string()
  )
  fc.assert(
    fc.property(fc.array(line), lines => {
      try {
        parse(lines.join('\n'))
      } catch (error) {
        assert.ok(error instanceof CertificatesListError)
      }
    })
  )
})
