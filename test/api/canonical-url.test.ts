import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canonicalUrl } from '../../src/api/requests/canonical-url.js'

test('the same routes answer under all prefixes of the contract, with slashes merged', () => {
  const canonical = '/rudder/relay-api/shared-files/a/b/c?ttl=1h'
  for (const prefix of [
    '/rudder/relay-api/',
    '/rudder/relay-api/1/',
    '/rudder//relay-api//',
    '//relay-api/',
    '/relay-api/',
    '/relay-api/1/',
    '/',
    '///'
  ]) {
    assert.equal(canonicalUrl(`${prefix}shared-files/a/b/c?ttl=1h`), canonical, prefix)
  }
})

test('what stands outside the prefixes stays where it is', () => {
  for (const url of [
    '/uuid',
    '/metrics',
    '/metrics?x=1',
    '/openapi.json',
    '/v1/relay/links',
    '/v1/system/alive',
    '/api/v1/getAgentStatistics'
  ])
    assert.equal(canonicalUrl(url), url)
})

test('a prefix within the path is no prefix', () => {
  assert.equal(canonicalUrl('/shared-files/rudder/relay-api/1'), '/rudder/relay-api/shared-files/rudder/relay-api/1')
  assert.equal(canonicalUrl('/'), '/rudder/relay-api/')
})
