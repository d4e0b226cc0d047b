import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { appendFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openClientTokens, parseClientTokens } from '../../src/links/client-tokens.js'
import { type Logger, silentLogger } from '../../src/values/logger.js'
import { temporaryFolder } from '../support/treeline-command.js'

const TOKEN = 'a-token-that-is-long-enough'
const hashOf = (token: string) => createHash('sha256').update(token).digest('hex')

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
  const tokens = openClientTokens(file, silentLogger)
  assert.deepEqual(
    [
      tokens.allows('git', TOKEN),
      tokens.allows('git', other),
      tokens.allows('shared', TOKEN),
      tokens.allows('shared', other),
      tokens.allows('none', TOKEN),
      tokens.allows('git', `${TOKEN}x`),
      tokens.allows('git', hashOf(TOKEN)),
      tokens.allows('git', ''),
      tokens.allows('short', 'short')
    ],
    [true, true, true, false, false, false, false, false, false]
  )
})

test('a line that is wrong is named by its number, and not shown: it may have a token in it', () => {
  const good = `register:git ${hashOf(TOKEN)}`
  for (const line of [
    TOKEN,
    `git ${hashOf(TOKEN)}`,
    `call:git ${hashOf(TOKEN)}`,
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
  const errors: string[] = []
  const logger: Logger = { ...silentLogger, error: (_details, message) => errors.push(message) }
  assert.throws(() => openClientTokens(file, logger), /tokens\.clients_file .*clients: ENOENT/)
  await writeFile(file, `register:one ${hashOf(TOKEN)}\n`)
  const tokens = openClientTokens(file, logger)
  assert.equal(tokens.allows('two', TOKEN), false)
  await appendFile(file, `register:two ${hashOf(TOKEN)}\n`)
  assert.equal(tokens.allows('two', TOKEN), true)
  await writeFile(file, 'rubbish\n')
  assert.deepEqual([tokens.allows('two', TOKEN), tokens.allows('one', TOKEN)], [true, true])
  await rm(file)
  assert.equal(tokens.allows('one', TOKEN), true)
  assert.equal(errors.length, 2, 'told once for each change')
  await writeFile(file, '')
  assert.equal(tokens.allows('one', TOKEN), false)
})
