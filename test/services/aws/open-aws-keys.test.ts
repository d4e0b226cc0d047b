import assert from 'node:assert/strict'
import { rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { SecretPlace } from '../../../src/config/services/service-config.js'
import { openAwsKeys } from '../../../src/services/aws/open-aws-keys.js'
import { eventually } from '../../support/eventually.js'
import { temporaryFolder } from '../../support/machine/treeline-command.js'

async function open(t: TestContext, place: SecretPlace, profile = 'default') {
  const problems: string[] = []
  const logger = { info: () => undefined, warn: (facts: object) => void problems.push(JSON.stringify(facts)) }
  const keys = await openAwsKeys({ type: 'aws', place, profile }, { key: 'a', logger })
  t.after(() => keys.close())
  return { keys, problems }
}

const FILE = `; made by a program
[default]
aws_access_key_id = AKID1
AWS_SECRET_ACCESS_KEY=secret/1+a=

[profile east]
aws_access_key_id=AKID2
aws_secret_access_key = secret2
aws_session_token = token2
`

test('the keys of a profile are read from a credentials file, and again when it is replaced', async t => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'credentials')
  await writeFile(path, FILE)
  const { keys } = await open(t, { kind: 'file', path })
  assert.deepEqual(keys.current(), { accessKeyId: 'AKID1', secretAccessKey: 'secret/1+a=' })
  const east = await open(t, { kind: 'file', path }, 'east')
  assert.deepEqual(east.keys.current(), { accessKeyId: 'AKID2', secretAccessKey: 'secret2', sessionToken: 'token2' })
  await writeFile(`${path}.new`, FILE.replace('AKID1', 'AKID3'))
  await rename(`${path}.new`, path)
  keys.refused()
  await eventually('the new key', async () => (await keys.current()).accessKeyId === 'AKID3')
})

test('the keys of a mounted secret have the names that birger has', async t => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'awsAccessKey'), 'AKID\n')
  await writeFile(join(folder, 'awsSecretAccessKey'), 'secret\n')
  const { keys } = await open(t, { kind: 'secret', folder })
  assert.deepEqual(keys.current(), { accessKeyId: 'AKID', secretAccessKey: 'secret' })
  await writeFile(join(folder, 'awsSessionToken'), 'token')
  await eventually('the token', async () => (await keys.current()).sessionToken === 'token')
  await rm(join(folder, 'awsSessionToken'))
  await eventually('no token', async () => (await keys.current()).sessionToken === undefined)
})

test('the keys of the environment have names that begin alike', async t => {
  Object.assign(process.env, { TEST_KEYS_ACCESS_KEY_ID: 'AKID', TEST_KEYS_SECRET_ACCESS_KEY: 'secret' })
  t.after(() => {
    delete process.env.TEST_KEYS_ACCESS_KEY_ID
    delete process.env.TEST_KEYS_SECRET_ACCESS_KEY
  })
  const { keys } = await open(t, { kind: 'env', name: 'TEST_KEYS' })
  assert.deepEqual(keys.current(), { accessKeyId: 'AKID', secretAccessKey: 'secret' })
})

for (const [what, text, message] of [
  ['no such profile', '[other]\naws_access_key_id = hidden', /the profile default is not there/],
  ['no secret key', '[default]\naws_access_key_id = hidden', /there is no secret access key/],
  ['an empty id', '[default]\naws_access_key_id =\naws_secret_access_key = hidden', /there is no access key id/],
  [
    'blanks in a key',
    '[default]\naws_access_key_id = hid den\naws_secret_access_key = a',
    /access key id is more than one word/
  ]
] as const) {
  test(`a credentials file with ${what} is told in the log without what it holds, and there are no keys`, async t => {
    const path = join(await temporaryFolder(t), 'credentials')
    await writeFile(path, text)
    const { keys, problems } = await open(t, { kind: 'file', path })
    assert.match(problems.join(), message)
    assert.doesNotMatch(problems.join(), /hid/)
    assert.throws(() => keys.current(), /its credentials\.file cannot be used/)
  })
}
