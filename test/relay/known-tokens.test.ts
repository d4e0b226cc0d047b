import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { appendFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseClientTokens } from '../../src/keys/tokens/client-token-rules.js'
import { mayCall, mayRegister } from '../../src/keys/tokens/token-scope.js'
import { type KnownTokens, openKnownTokens } from '../../src/relay/tokens/known-tokens.js'
import { type Logger, silentLogger } from '../../src/values/logging/logger.js'
import { eventually } from '../support/eventually.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

const TOKEN = 'a-token-that-is-long-enough'
const hashOf = (token: string) => createHash('sha256').update(token).digest('hex')

function open(t: TestContext, file: string, logger: Logger = silentLogger, adminFile?: string): KnownTokens {
  const tokens = openKnownTokens({ clientsFile: file, adminFile }, logger)
  t.after(() => tokens.close())
  return tokens
}

function scopesOf(tokens: KnownTokens, token: string) {
  tokens.look()
  return tokens.find(token)?.scopes() ?? []
}

function allows(tokens: KnownTokens, key: string, token: string): boolean {
  return mayRegister(scopesOf(tokens, token), key)
}

test('a token registers under the keys of its lines, and under no other', async t => {
  const file = join(await temporaryFolder(t), 'clients')
  const other = 'another-token-of-that-kind'
  await writeFile(
    file,
    [
      '# two for one key, so that one can be exchanged',
      `register:git ${hashOf(TOKEN)}`,
      '',
      `  register:git\tsha256:${hashOf(other).toUpperCase()}  \r`,
      `register:shared ${hashOf(TOKEN)}`,
      `register:short ${hashOf('short')}`
    ].join('\n')
  )
  const tokens = open(t, file)
  assert.deepEqual(
    [
      allows(tokens, 'git', TOKEN),
      allows(tokens, 'git', other),
      allows(tokens, 'shared', TOKEN),
      allows(tokens, 'shared', other),
      allows(tokens, 'none', TOKEN),
      allows(tokens, 'git', `${TOKEN}x`),
      allows(tokens, 'git', hashOf(TOKEN)),
      allows(tokens, 'git', ''),
      allows(tokens, 'short', 'short')
    ],
    [true, true, true, false, false, false, false, false, false]
  )
})

test('a line that is wrong is named by its number, and not shown: it may have a token in it', () => {
  const good = `register:git ${hashOf(TOKEN)}`
  for (const line of [
    TOKEN,
    `git ${hashOf(TOKEN)}`,
    `calls:git ${hashOf(TOKEN)}`,
    `admin:git ${hashOf(TOKEN)}`,
    `call:g*t ${hashOf(TOKEN)}`,
    `register:git ${TOKEN}`,
    `${good} ${TOKEN}`,
    `register:clients ${hashOf(TOKEN)}`,
    `register:a/b ${hashOf(TOKEN)}`,
    `register:${'k'.repeat(129)} ${hashOf(TOKEN)}`
  ]) {
    assert.throws(
      () => parseClientTokens(`${good}\n${line}\n`),
      (error: Error) => error.message.startsWith('line 2: ') && !error.message.includes(TOKEN),
      line
    )
  }
})

test('the file is read again when it changes; one that cannot be used changes nothing', async t => {
  const file = join(await temporaryFolder(t), 'clients')
  const errors: unknown[] = []
  const logger: Logger = { ...silentLogger, error: details => errors.push(details) }
  assert.throws(() => open(t, file, logger), /tokens\.clients_file .*clients: there is no such file; check the path/)
  await writeFile(file, `register:one ${hashOf(TOKEN)}\n`)
  const tokens = open(t, file, logger)
  assert.equal(allows(tokens, 'two', TOKEN), false)
  await appendFile(file, `register:two ${hashOf(TOKEN)}\n`)
  assert.equal(allows(tokens, 'two', TOKEN), true)
  await writeFile(file, 'rubbish\n')
  assert.deepEqual([allows(tokens, 'two', TOKEN), allows(tokens, 'one', TOKEN)], [true, true])
  await rm(file)
  assert.equal(allows(tokens, 'one', TOKEN), true)
  const expected = 'line 1: expected "<scope> <SHA-256 of the token in hex>"'
  const reasons = [expected, 'there is no such file; check the path']
  assert.deepEqual(
    errors,
    reasons.map(reason => ({ reason: `tokens.clients_file ${file}: ${reason}` })),
    'told once for each change, without a stack'
  )
  await writeFile(file, '')
  assert.equal(allows(tokens, 'one', TOKEN), false)
})

test('that a token was removed is told without anybody registering', async t => {
  const file = join(await temporaryFolder(t), 'clients')
  await writeFile(file, `register:one ${hashOf(TOKEN)}\nregister:two ${hashOf(TOKEN)}\n`)
  const told: boolean[][] = []
  const tokens = open(t, file)
  const right = tokens.find(TOKEN)
  tokens.onChange(() => told.push(['one', 'two'].map(key => mayRegister(right?.scopes() ?? [], key))))
  const beside = `${file}.new`
  await writeFile(beside, `register:two ${hashOf(TOKEN)}\n`)
  await rename(beside, file)
  await eventually('the change', () => told.length > 0)
  assert.deepEqual(told, [[false, true]])
})

test('a token has the scopes of all its lines, and that of tokens.admin_file is an administrator', async t => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'clients')
  const adminFile = join(folder, 'admin')
  await writeFile(file, `call:git ${hashOf(TOKEN)}\nregister:x* ${hashOf(TOKEN)}\n`)
  await writeFile(adminFile, 'the-token-of-administrators\n')
  const tokens = open(t, file, silentLogger, adminFile)
  const scopes = scopesOf(tokens, TOKEN)
  assert.deepEqual([mayCall(scopes, 'git'), mayCall(scopes, 'xy'), mayRegister(scopes, 'xy')], [true, false, true])
  assert.deepEqual(scopesOf(tokens, 'the-token-of-administrators'), [{ kind: 'admin' }])
  await writeFile(file, '')
  assert.deepEqual(scopesOf(tokens, TOKEN), [])
  assert.deepEqual(scopesOf(tokens, 'the-token-of-administrators'), [{ kind: 'admin' }])
  await writeFile(adminFile, 'short')
  assert.throws(() => open(t, file, silentLogger, adminFile), /tokens\.admin_file .*: a token has at least 16/)
})
