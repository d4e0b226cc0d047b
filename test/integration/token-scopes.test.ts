import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../support/eventually.js'
import { temporaryFolder, treeline } from '../support/machine/treeline-command.js'
import { ELSEWHERE, startServiceCallers } from '../support/relays/service-callers.js'

const create = ['token', 'create']
const hashOf = (token: string) => createHash('sha256').update(token).digest('hex')

test('a token for scopes is printed once, with its lines for the file of the relays', async t => {
  const made = await treeline(t, [...create, '--scope', 'call:git', '--scope', 'register:x-*', '--scope', 'call:git'])
  assert.equal(made.code, 0, made.stderr)
  const token = made.stdout.trim()
  assert.match(token, /^[\w-]{43}$/)
  assert.ok(!made.stderr.includes(token))
  assert.ok(made.stderr.endsWith(`call:git ${hashOf(token)}\nregister:x-* ${hashOf(token)}\n`), made.stderr)
  const json = JSON.parse((await treeline(t, [...create, '--scope', 'admin', '--json'])).stdout)
  assert.deepEqual(json, { token: json.token, scopes: ['admin'], lines: [`admin ${hashOf(json.token)}`] })
  assert.notEqual(json.token, token)
})

test('lines are added to a file that the relays read, and to no other one', async t => {
  const file = join(await temporaryFolder(t), 'clients')
  const first = await treeline(t, [...create, '--scope', 'call:a', '--append', file])
  assert.equal(first.stderr, `added to ${file}: call:a\n`)
  await writeFile(file, `# no line end\ncall:a ${hashOf(first.stdout.trim())}`)
  const second = await treeline(t, [...create, '--scope', 'call:b', '--append', file])
  const lines = ['# no line end', `call:a ${hashOf(first.stdout.trim())}`, `call:b ${hashOf(second.stdout.trim())}`, '']
  assert.equal(await readFile(file, 'utf8'), lines.join('\n'))
  await writeFile(file, 'something else\n')
  const refused = await treeline(t, [...create, '--scope', 'call:b', '--append', file])
  assert.equal(refused.code, 2)
  assert.equal(refused.stdout, '')
  assert.match(refused.stderr, /--append .*clients: line 1: expected .*; is it the file of tokens\.clients_file\?/)
  assert.equal(await readFile(file, 'utf8'), 'something else\n')
})

test('what does not go together is named, with exit code 2', async t => {
  for (const [args, expected] of [
    [['--scope', 'call'], /--scope "call": expected register:<key>, call:<key> or admin/],
    [['--scope', 'call:a/b'], /--scope "call:a\/b"/],
    [['--scope', 'call:a', '--node'], /--node belongs to tokens to join with/],
    [['--scope', 'call:a', '--expires', '1h'], /--expires belongs to/],
    [['--append', 'x', '--node'], /--append needs --scope/],
    [[], /give either --relay or --node, or --scope/]
  ] as const) {
    const { code, stderr, stdout } = await treeline(t, [...create, ...args])
    assert.match(stderr, expected)
    assert.deepEqual([code, stdout], [2, ''])
  }
})

test('such a token lets a caller in once its line is there', async t => {
  const { tokens, call } = await startServiceCallers(t)
  const made = await treeline(t, [...create, '--scope', 'call:git', '--append', tokens])
  const lines = [`X-Relay-Token: ${made.stdout.trim()}`]
  await eventually('an answer', async () => (await call({ from: ELSEWHERE, lines })).status === 200)
})
