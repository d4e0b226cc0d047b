import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { shellLine } from '../../demo/shell-line.js'

test('a shell reads the words back as they were', () => {
  const words = ['/tmp/a folder/x', "it's", '$HOME', '', '*', '--ttl', '1h', '@/tmp/file', '"']
  assert.equal(
    execFileSync('sh', ['-c', `printf '%s\\n' ${shellLine(words)}`], { encoding: 'utf8' }),
    `${words.join('\n')}\n`
  )
})

test('plain words stay readable', () => {
  assert.equal(shellLine(['treeline', 'run', '--all', '/tmp/x.key']), 'treeline run --all /tmp/x.key')
})
