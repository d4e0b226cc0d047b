import { closeSync, openSync } from 'node:fs'
import { CommandHost } from '../../../src/remote-run/execution/command-host.js'

/** Prints how two commands ended: one started when all files of this process were in use, one started afterwards. */

const SPEC = {
  file: '/bin/true',
  args: [],
  timeoutMs: 20_000,
  killGraceMs: 100,
  onStarted: () => undefined,
  onOutput: undefined
}

function openAll(): number[] {
  const files: number[] = []
  for (;;) {
    try {
      files.push(openSync('/dev/null', 'r'))
    } catch {
      return files
    }
  }
}

const host = new CommandHost()
const files = openAll()
const first = host.start(SPEC)
for (const file of files) closeSync(file)
const ends = [await first.ended, await host.start(SPEC).ended]
await host.close()
console.log(JSON.stringify(ends))
