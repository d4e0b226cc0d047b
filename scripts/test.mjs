// Runs node's test runner over the TypeScript tests. Arguments: paths or parts of paths choose files, `-…` go to node.
//   npm test -- test/tree            only these
//   npm test -- --test-name-pattern=outbox
//   npm test -- --second-chance      files that failed run again, alone: on a busy machine a test may come too late
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'

/** Longer than any test takes on a slow machine: only one that hangs reaches it. */
const TEST_TIMEOUT_MS = 600_000

const root = join(import.meta.dirname, '..')
const SECOND_CHANCE = '--second-chance'
const flags = process.argv.slice(2).filter(argument => argument.startsWith('-') && argument !== SECOND_CHANCE)
const filters = process.argv.slice(2).filter(argument => !argument.startsWith('-'))
const files = testFiles().filter(
  file => filters.length === 0 || filters.some(filter => file.includes(normalize(filter)))
)

if (files.length === 0) {
  console.error(`no test file matches ${filters.join(' ') || 'test/*.test.ts, test/*/*.test.ts'}`)
  process.exit(1)
}
const failed = new Set()
process.exitCode = await runTests(files, availableParallelism() + 1) // most tests wait for processes and sockets
if (process.exitCode !== 0 && process.argv.includes(SECOND_CHANCE) && failed.size > 0) {
  const again = [...failed]
  console.log(`\nonce more, one at a time: ${again.join(', ')}\n`)
  process.exitCode = await runTests(again, 1)
}

/** node 20 expands no patterns, and given a folder finds no TypeScript. */
function testFiles() {
  return readdirSync(join(root, 'test'), { withFileTypes: true })
    .flatMap(entry =>
      entry.isDirectory()
        ? readdirSync(join(root, 'test', entry.name)).map(name => join(entry.name, name))
        : [entry.name]
    )
    .filter(name => name.endsWith('.test.ts'))
    .map(name => `test/${name}`)
    .sort()
}

function normalize(filter) {
  return filter.replace(/^\.\//, '').replace(/^\*+|\*+$/g, '')
}

async function runTests(files, concurrency) {
  const args = ['--import', 'tsx', '--test', `--test-concurrency=${concurrency}`, `--test-timeout=${TEST_TIMEOUT_MS}`]
  const env = { ...process.env, ...(process.stdout.isTTY ? { FORCE_COLOR: '1' } : {}) }
  const child = spawn(process.execPath, [...args, '--test-reporter=spec', ...flags, ...files], {
    cwd: root,
    env,
    stdio: ['inherit', 'pipe', 'inherit']
  })
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
  const closing = collectClosingLines(child.stdout)
  const [code, signal] = await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (...ended) => resolve(ended))
  })
  // The list of failures comes after node's closing lines: say them once more where one looks first.
  if (code !== 0) console.log([...closing].map(([name, value]) => `# ${name} ${value}`).join('\n'))
  if (code === 0 && !(Number(closing.get('tests')) > 0)) {
    console.error('no test ran')
    return 1
  }
  if (signal !== null) console.error(`node's test runner was ended by ${signal}`)
  return code ?? 1
}

/** Passes the output on as it comes, and notes node's closing lines (`ℹ tests 12`, `# tests 12`). */
function collectClosingLines(stdout) {
  const found = new Map()
  let rest = ''
  stdout.setEncoding('utf8').on('data', text => {
    process.stdout.write(text)
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const place = /^test at (test\/\S+?\.test\.ts):/.exec(stripVTControlCharacters(line))
      if (place !== null) failed.add(place[1])
      const match = /^[ℹ#] (tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$/.exec(
        stripVTControlCharacters(line).trimEnd()
      )
      if (match !== null) found.set(match[1], match[2])
    }
  })
  return found
}
