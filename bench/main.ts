// `npm run bench [-- row…] [--list] [--json] [--markdown]`. Progress goes to stderr, results to stdout.
// Files go to the folder for temporary ones, or to TREELINE_BENCH_FOLDER: on a disk, since fsync is measured too.
import { mkdtemp, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { markdownTable, plainText, type RowResult } from './report.js'
import { ROWS } from './rows.js'
import { Cleanup } from './support/cleanup.js'
import { isWithinBound, type Row } from './support/row.js'

/** `TMPFS_MAGIC` of Linux. */
const TMPFS = 0x01021994

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    markdown: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false }
  }
})

const unknown = positionals.filter(name => !ROWS.some(row => row.name === name))
if (unknown.length > 0 || flags.list) {
  if (unknown.length > 0) console.error(`no such row: ${unknown.join(', ')}. There are:`)
  for (const row of ROWS) console.log(`${row.name.padEnd(20)} ${row.what}`)
  process.exit(unknown.length > 0 ? 2 : 0)
}

const baseFolder = process.env.TREELINE_BENCH_FOLDER ?? tmpdir()
await warnOfMemoryDisk()

/** The cleanup of the row that is being measured. */
let cleanup = new Cleanup()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    cleanup.run().then(
      () => process.exit(1),
      (error: unknown) => {
        console.error(error)
        process.exit(1)
      }
    )
  })
}

const results: RowResult[] = []
for (const row of ROWS.filter(row => positionals.length === 0 || positionals.includes(row.name))) {
  const result = await measureRow(row)
  results.push(result)
  if (!flags.json && !flags.markdown) console.log(plainText(result))
}
if (flags.json) console.log(JSON.stringify(results, null, 2))
if (flags.markdown) console.log(markdownTable(results))
// A client's idle connections would keep the process for some seconds more.
process.exit(results.every(result => result.passed) ? 0 : 1)

async function measureRow(row: Row): Promise<RowResult> {
  const { name, what, reference, bound } = row
  console.error(`\n${name}: ${what}`)
  const folder = await mkdtemp(join(baseFolder, 'treeline-bench-'))
  cleanup = new Cleanup()
  cleanup.add(() => rm(folder, { recursive: true, force: true }))
  const startedAt = performance.now()
  const say = (text: string) => console.error(`  ${((performance.now() - startedAt) / 1000).toFixed(1)} s: ${text}`)
  try {
    const { checks, notes = [] } = await row.run({ folder, cleanup, say })
    return { name, what, reference, bound, checks, notes, passed: checks.every(isWithinBound) }
  } catch (error) {
    console.error(error)
    return {
      name,
      what,
      reference,
      bound,
      checks: [],
      notes: [`could not be measured: ${String(error)}`],
      passed: false
    }
  } finally {
    await cleanup.run()
  }
}

async function warnOfMemoryDisk(): Promise<void> {
  const { type } = await statfs(baseFolder)
  if (type === TMPFS) console.error(`${baseFolder} is in memory: set TREELINE_BENCH_FOLDER to a folder on a disk`)
}
