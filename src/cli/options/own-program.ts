import { resolve } from 'node:path'

/** How this very program is started again: the interpreter, its options, and the script. */
export function ownProgram(): string[] {
  return [process.execPath, ...process.execArgv, resolve(process.argv[1] ?? 'treeline')]
}
