import { resolve } from 'node:path'

/** The command that starts this very program again: the interpreter, its options, and the script. */
export function ownProgram(): string[] {
  return [process.execPath, ...process.execArgv, resolve(process.argv[1] ?? 'treeline')]
}
