import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { BrokenSealError, HeaderSeals, SEAL_LIFETIME_MS } from '../../../src/services/sealing/header-seals.js'
import { openAuthorizedUser, openFields, sealFields } from '../../../src/services/sealing/sealed-fields.js'

const NOW = Date.parse('2026-11-30T12:00:00Z')
const KEY = randomBytes(32)
const sealing = (...keys: readonly [Buffer, ...Buffer[]]) => ({
  names: new Set(['x-spinnaker-user', 'x-team']),
  seals: new HeaderSeals(keys)
})
const SEALING = sealing(KEY)
const tokenOf = (value: string, name = 'x-spinnaker-user', atMs = NOW) => SEALING.seals.seal(name, value, atMs)

test('any value is sealed, and comes back as it was', () => {
  const value = fc.stringMatching(/^[\x20-\x7e\x80-\xff]{0,100}$/)
  fc.assert(
    fc.property(value, text => {
      const fields = ['Host', 'a', 'X-Spinnaker-User', text]
      const sealed = sealFields(fields, SEALING, NOW)
      assert.match(sealed[3] ?? '', /^[\w-]+\.[\w-]+\.[\w-]+$/)
      assert.deepEqual(openFields(sealed, SEALING, NOW + SEAL_LIFETIME_MS), fields)
    })
  )
})

test('a sealed value that comes back stays as it is, and one of another header is no such value', () => {
  const once = sealFields(['X-Spinnaker-User', 'anna'], SEALING, NOW)
  assert.deepEqual(sealFields(once, SEALING, NOW + 1_000), once)
  const [, team = ''] = sealFields(['X-Team', 'a'], SEALING, NOW)
  assert.throws(() => openFields(['X-Spinnaker-User', team], SEALING, NOW), /is not sealed/)
})

test('a header in the spelling of CGI is the same header, in both directions', () => {
  const [name, value = ''] = sealFields(['x_spinnaker_USER', 'anna'], SEALING, NOW)
  assert.equal(name, 'x-spinnaker-USER')
  assert.deepEqual(openFields(['X_Spinnaker_User', value], SEALING, NOW), ['X-Spinnaker-User', 'anna'])
  assert.throws(() => openFields(['X_Spinnaker_User', 'root'], SEALING, NOW), BrokenSealError)
})

test('after 15 minutes, and what the clocks may be apart, a value cannot be opened', () => {
  const sealed = sealFields(['X-Spinnaker-User', 'anna'], SEALING, NOW)
  openFields(sealed, SEALING, NOW + SEAL_LIFETIME_MS + 59_000)
  assert.throws(() => openFields(sealed, SEALING, NOW + SEAL_LIFETIME_MS + 61_000), /more than 15 minutes ago/)
  assert.throws(() => sealFields(sealed, SEALING, NOW + SEAL_LIFETIME_MS + 61_000), /more than 15 minutes ago/)
})

test('keys change: the first one seals, and former ones open', () => {
  const former = sealFields(['X-Team', 'a'], SEALING, NOW)
  const changed = sealing(randomBytes(32), KEY)
  assert.deepEqual(openFields(former, changed, NOW), ['X-Team', 'a'])
  assert.throws(() => openFields(sealFields(['X-Team', 'a'], changed, NOW), SEALING, NOW), /is not sealed/)
})

test('forged values are refused: another key, another algorithm, none, a part changed', () => {
  const token = tokenOf('anna')
  const [header = '', payload = '', signature = ''] = token.split('.')
  const as = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = as({ h: 'x-spinnaker-user', u: 'root', exp: NOW })
  const signed = (text: string) => `${text}.${createHmac('sha256', KEY).update(text).digest('base64url')}`
  for (const forged of [
    'root',
    '',
    `${header}.${claims}.${signature}`,
    `${as({ alg: 'none', typ: 'treeline-sealed+jwt' })}.${payload}.`,
    signed(`${as({ alg: 'HS256', typ: 'JWT' })}.${payload}`),
    new HeaderSeals([randomBytes(32)]).seal('x-spinnaker-user', 'root', NOW),
    `${token}=`,
    token.slice(0, -1),
    ` ${token}`
  ]) {
    assert.throws(() => openFields(['X-Spinnaker-User', forged], SEALING, NOW), BrokenSealError, forged)
  }
  assert.throws(() => sealFields(['X-Team', 'a'.repeat(5_000)], SEALING, NOW), /more than 4096 bytes/)
})

test('the user in the path of a question to Fiat is opened', () => {
  const token = tokenOf('anna@b/c?d')
  for (const behind of ['', '/accounts', '?expand=true', '/accounts/x?y=z']) {
    assert.equal(
      openAuthorizedUser('GET', `/authorize/${token}${behind}`, SEALING, NOW),
      `/authorize/anna%40b%2Fc%3Fd${behind}`
    )
  }
})

test('other questions to Fiat, and other methods, pass as they are', () => {
  for (const [method, target] of [
    ['GET', '/health'],
    ['GET', '/authorize'],
    ['GET', '/authorize/'],
    ['GET', '/authorized/x'],
    ['GET', '/x/authorize/y'],
    ['PUT', '/authorize/anna'],
    ['POST', '/roles/anna']
  ] as const) {
    assert.equal(openAuthorizedUser(method, target, SEALING, NOW), target)
  }
})

test('no spelling of the path asks Fiat for a user that is not sealed', () => {
  for (const path of [
    '/authorize/anna',
    '//authorize/anna',
    '/./authorize/anna',
    '/authorize//anna',
    '/authorize;a=b/anna',
    '/%61uthorize/anna',
    '/%2561uthorize/anna',
    '/authorize%2fanna',
    '/AUTHORIZE/anna',
    '/authorize/%61nna',
    '/authorize/./anna',
    '\\authorize\\anna',
    `/authorize/./${tokenOf('anna')}`
  ]) {
    for (const method of ['GET', 'HEAD']) {
      assert.throws(() => openAuthorizedUser(method, path, SEALING, NOW), BrokenSealError, path)
    }
  }
})
