import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { eventually } from '../support/eventually.js'
import { mountSmallDisk } from '../support/machine/small-disk.js'
import { startProcess } from '../support/machine/treeline-command.js'

const LOG = new URL('../../src/process/log.ts', import.meta.url).href

/** What a relay writes to its standard output. */
async function written(isTerminal: boolean): Promise<string[]> {
  const script = `import { createLog } from '${LOG}'
    process.stdout.isTTY = ${isTerminal}
    const { logger: log } = await createLog({ level: 'info', base: { node: 'relay-1' } })
    log.debug({}, 'not shown')
    log.info({ nodes: 3, password: 'hidden-1', headers: { authorization: 'hidden-2' } }, 'ready')
    const [cause, other] = [new Error('line 1'), new Error('file', { cause: new Error('line 2') })]
    if (${!isTerminal}) for (const err of [new Error('file: line 1', { cause }), other]) log.warn({ err }, 'bad')`
  const args = ['--import', 'tsx', '--input-type=module', '--eval', script]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  return stdout.trimEnd().split('\n')
}

test('a line is JSON with level, time, node and what it is about, and holds no secret', async () => {
  const [line = '', ...more] = await written(false)
  const { level, time, node, nodes, msg, password, headers } = JSON.parse(line)
  assert.deepEqual([level, node, nodes, msg], [30, 'relay-1', 3, 'ready'])
  const messages = more.map(text => JSON.parse(text).err.message)
  assert.deepEqual(messages, ['file: line 1', 'file: line 2'], 'the message of a cause once')
  assert.ok(Math.abs(Date.parse(time) - Date.now()) < 600_000, time)
  assert.deepEqual([password, headers.authorization], ['[secret]', '[secret]'])
})

test('on a terminal it is a line for people, and holds no secret either', async () => {
  const [line = '', ...more] = await written(true)
  assert.match(line, /^\[?\d\d:\d\d:\d\d.*INFO.*ready.*"nodes":3/)
  assert.doesNotMatch(line, /hidden-[12]/)
  assert.deepEqual(more, [])
})

/** Writes more than is kept, says on standard error what was lost, and ends by SIGTERM. */
const TALKER = `import { createLog } from '${LOG}'
  const { logger, lostLines } = await createLog({ level: 'info', base: {} })
  for (let number = 0; number < 5_000; number += 1) logger.info({ number, fill: 'x'.repeat(100) }, 'talk')
  const wait = setInterval(() => undefined, 1_000)
  process.on('SIGTERM', () => clearInterval(wait))
  process.stderr.write('lost ' + lostLines() + '\\n')`

function talker(t: TestContext, output?: string) {
  const args = ['--import', 'tsx', '--input-type=module', '--eval', TALKER]
  return startProcess(t, process.execPath, args, {}, output)
}

async function lostOf(stderr: Readable | null): Promise<number> {
  assert.ok(stderr)
  const [text] = await once(stderr, 'data')
  return Number(/lost (\d+)/.exec(String(text))?.[1])
}

/** Each line is whole, and what is lost is told, in one line. */
function assertTold(text: string, lost: number): void {
  const lines = text
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
  const talk = lines.filter(({ msg }) => msg === 'talk')
  const told = lines.filter(({ msg }) => msg !== 'talk')
  assert.deepEqual(
    talk.map(({ number }) => number),
    Array.from({ length: 5_000 - lost }, (_, number) => number)
  )
  assert.deepEqual(
    told.map(({ msg, lines: count }) => [msg, count]),
    [['log lines lost: cannot write the log', lost]]
  )
}

test('a reader that stands still holds nothing up; when it reads on, it is told what it missed', async t => {
  const { child, ended, printed } = talker(t)
  child.stdout?.pause()
  const lost = await lostOf(child.stderr)
  assert.ok(lost > 0)
  child.stdout?.resume()
  await printed('lines lost')
  child.kill('SIGTERM')
  assertTold((await ended).stdout, lost)
})

test('a reader that has gone ends nothing', async t => {
  const { child, ended } = talker(t)
  child.stdout?.destroy()
  assert.ok((await lostOf(child.stderr)) > 0)
  child.kill('SIGTERM')
  assert.equal((await ended).code, 0)
})

test('a full disk ends nothing; when it has room again, the log says what is missing', async t => {
  const disk = await mountSmallDisk(t, 1)
  if (disk === undefined) return // test/scenarios/signals.test.ts has /dev/full, for which nobody need be root
  const file = join(disk.path, 'log')
  await writeFile(file, '')
  await disk.fill()
  const { child, ended } = talker(t, file)
  const lost = await lostOf(child.stderr)
  await disk.empty()
  const text = await eventually('the rest', async () => {
    const written = await readFile(file, 'utf8')
    return written.includes('lines lost') && written.endsWith('\n') && written
  })
  child.kill('SIGTERM')
  assert.equal((await ended).code, 0)
  assertTold(text, lost)
})
