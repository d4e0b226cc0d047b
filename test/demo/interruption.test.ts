import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { isAlive } from '../support/machine/is-alive.js'

const MAIN = fileURLToPath(new URL('../../demo/main.ts', import.meta.url))
const PACKAGE = new URL('../../package.json', import.meta.url)

for (const moment of [
  '✓ relay-a',
  '1. Run every agent',
  '5. Share a file for',
  '6. Clone a Git',
  '8. Order a run',
  'The tree stays up'
]) {
  test(`Ctrl-C leaves nothing behind, and fails no step: at "${moment}"`, async () => {
    const { output, code } = await interruptedAt(moment)
    assert.doesNotMatch(output, /✗|Error/)
    assert.equal(code, moment === 'The tree stays up' ? 0 : 130)
    assert.match(output, /The relays are stopped, and the folder is removed\.\n$/)
    const folder = /loopback, in (\S+)/.exec(output)?.[1] ?? assert.fail('no folder is named')
    assert.ok(!existsSync(folder))
    for (const [, pid] of output.matchAll(/process (\d+)$/gm)) assert.ok(!isAlive(Number(pid)))
  })
}

test('no shell is left between npm and what it starts: it would keep a signal to npm to itself', async () => {
  const { scripts } = JSON.parse(await readFile(PACKAGE, 'utf8')) as { scripts: Record<string, string> }
  assert.match(scripts.start ?? '', / && exec node \S+$/)
})

/** As at a terminal: to all of the processes at once, and once more by npm. */
async function interruptedAt(moment: string): Promise<{ output: string; code: number | null }> {
  const child = spawn(process.execPath, ['--import', 'tsx', MAIN], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true
  })
  let output = ''
  let isInterrupted = false
  const take = (chunk: Buffer) => {
    output += chunk
    if (isInterrupted || !output.includes(moment)) return
    isInterrupted = true
    process.kill(-(child.pid ?? assert.fail('not started')), 'SIGINT')
    child.kill('SIGINT')
  }
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  const [code] = (await once(child, 'close')) as [number | null]
  return { output, code }
}
