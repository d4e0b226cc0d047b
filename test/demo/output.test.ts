import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '../..')
const MAX_WIDTH = 100

test('all steps succeed, and every line fits in a terminal of 100 columns', async () => {
  const child = spawn(process.execPath, ['--import', 'tsx', join(ROOT, 'demo/main.ts'), '--exit'], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const [code] = (await once(child, 'close')) as [number | null]
  assert.equal(code, 0, output)
  assert.match(output, /^All steps succeeded\.$/m)
  const ofThisMachine = { [process.execPath]: '/usr/bin/node', [ROOT]: '/opt/treeline', [tmpdir()]: '/tmp' }
  const text = Object.entries(ofThisMachine).reduce((result, [path, usual]) => result.replaceAll(path, usual), output)
  assert.deepEqual(
    text.split('\n').filter(line => [...line].length > MAX_WIDTH),
    []
  )
})
