import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerFromJson } from '../../src/membership/join-form.js'

test('an answer to a join names a port that there can be, or none', () => {
  const answerWith = (port?: unknown) =>
    answerFromJson({
      ...{ id: 'relay-b', kind: 'relay', certificate: '', ca: '' },
      policy_server: { id: 'relay-a', hostname: 'relay-a.example', port, certificates: '' }
    })
  assert.equal(answerWith(8443)?.policyServer.port, 8443)
  assert.notEqual(answerWith(), undefined)
  for (const port of [0, -1, 443.5, 65_536, '443', Number.NaN]) assert.equal(answerWith(port), undefined, String(port))
})
