// Runs node's test runner over the TypeScript tests. Arguments: paths or parts of paths choose files, `-…` go to node.
//   npm test                         all but what is slow by nature
//   npm test -- test/tree            only these, slow or not
//   npm test -- --test-name-pattern=outbox
//   npm run test:long                what is slow by nature; with TREELINE_MINUTES=3 so long that rare faults show
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'

/** Longer than any process of tests takes on a slow machine: only one that hangs reaches it. */
const TEST_TIMEOUT_MS = 600_000
/** Folders whose tests start relays, agents and commands, and wait for them: each file has a process of its own. */
const BY_FILE = ['scenarios', 'crash', 'hostile', 'demo', 'agent', 'integration', 'cli']
/** Folders of tests that are slow by nature: whole relays and trees that are started, cut, killed and moved; crowds, full disks, the demo. */
const LONG = ['crash', 'hostile', 'demo', 'scenarios', 'integration']
/** So many files of the other folders share a process: it takes longer to load what they test than to test it. */
const FILES_PER_PROCESS = 12

const root = join(import.meta.dirname, '..')
const groupsFolder = join(root, 'dist', 'test-groups', String(process.pid))
const isLong = process.argv.includes('--long')
const flags = process.argv.slice(2).filter(argument => argument.startsWith('-') && argument !== '--long')
const filters = process.argv.slice(2).filter(argument => !argument.startsWith('-'))
const files = testFiles().filter(file => {
  if (filters.length > 0) return filters.some(filter => file.includes(normalize(filter)))
  return LONG.includes(folderOf(file)) === isLong
})

if (files.length === 0) {
  console.error(`no test file matches ${filters.join(' ') || 'test/*.test.ts, test/*/*.test.ts'}`)
  process.exit(1)
}
process.on('exit', () => rmSync(groupsFolder, { recursive: true, force: true }))
process.exitCode = await runTests(entriesFor(files), availableParallelism() + 1) // most tests wait for processes and sockets

/** node 20 expands no patterns, and given a folder finds no TypeScript. */
function testFiles() {
  return readdirSync(join(root, 'test'), { recursive: true })
    .filter(name => name.endsWith('.test.ts'))
    .map(name => `test/${name}`)
    .sort()
}

/** The arguments for node, the longest first: files, and for those that share a process a module that imports them. */
function entriesFor(files) {
  mkdirSync(groupsFolder, { recursive: true })
  const alone = files.filter(file => BY_FILE.includes(folderOf(file)))
  const folders = new Set(files.map(folderOf).filter(folder => !BY_FILE.includes(folder)))
  const groups = [...folders].flatMap(folder => {
    const inFolder = files.filter(file => folderOf(file) === folder)
    const count = Math.ceil(inFolder.length / FILES_PER_PROCESS)
    return Array.from({ length: count }, (_, index) =>
      writeGroup(
        `${folder}-${index}`,
        inFolder.filter((_, at) => at % count === index)
      )
    )
  })
  return [...alone.sort((a, b) => BY_FILE.indexOf(folderOf(a)) - BY_FILE.indexOf(folderOf(b))), ...groups]
}

function folderOf(file) {
  return basename(dirname(file))
}

function writeGroup(name, files) {
  const path = join(groupsFolder, `${name}.mjs`)
  writeFileSync(path, files.map(file => `import '../../../${file}'\n`).join(''))
  return path
}

function normalize(filter) {
  return filter.replace(/^\.\//, '').replace(/^\*+|\*+$/g, '')
}

async function runTests(entries, concurrency) {
  const loaded = ['--import', 'tsx', '--import', './test/support/network/watch-answers.ts']
  const args = [...loaded, '--test', `--test-concurrency=${concurrency}`, `--test-timeout=${TEST_TIMEOUT_MS}`]
  const kept = { TREELINE_TEST_KEYS: join(root, 'dist', 'test-keys') } // RSA keys take long to make
  const env = { ...kept, ...process.env, ...(process.stdout.isTTY ? { FORCE_COLOR: '1' } : {}) }
  const child = spawn(process.execPath, [...args, '--test-reporter=spec', ...flags, ...entries], {
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
      const match = /^[ℹ#] (tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$/.exec(
        stripVTControlCharacters(line).trimEnd()
      )
      if (match !== null) found.set(match[1], match[2])
    }
  })
  return found
}
