import { statSync } from 'node:fs'
import { ConfigError } from '../../config/config.js'
import { printDiagnostic } from '../output/diagnostic.js'

interface Noticed {
  readonly notices: readonly { readonly level: string; readonly text: string }[]
}

/**
 * Calls `read` and prints the notices of its result on standard error.
 * @param directory that of `--config`
 * @returns undefined once the problems of a configuration that cannot be used are told
 */
export function readOrPrintProblems<T extends Noticed>(directory: string, read: () => T): T | undefined {
  if (isFile(directory)) {
    printDiagnostic(`--config ${directory} is a file; name the folder that it is in`)
    return undefined
  }
  try {
    const config = read()
    for (const { level, text } of config.notices) printDiagnostic(`${level}: ${text}`)
    return config
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    for (const { level, text } of error.notices) printDiagnostic(`${level}: ${text}`)
    for (const problem of error.problems) printDiagnostic(problem)
    return undefined
  }
}

/** False as well for one that this user may not look at: reading it says why. */
function isFile(path: string): boolean {
  try {
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** `--strict` alone would be ignored: it says so. @returns whether that was the case */
export function refusesStrictAlone({ test, strict }: { readonly test: boolean; readonly strict: boolean }): boolean {
  if (!strict || test) return false
  printDiagnostic('--strict goes with --test: a start tells its warnings, and goes on')
  return true
}

/** The last line where nothing but `--strict` makes a check fail. */
export function printStrictFailure(directory: string): void {
  printDiagnostic(`${directory}: --strict takes the warnings above for errors`)
}

/** The last line of a check. @param checkedFor the user that folders were looked at for, where it is another one */
export function printVerdict(directory: string, verdict: string, checkedFor: string | undefined): void {
  const scope = checkedFor === undefined ? '' : ` (the folders: for ${checkedFor})`
  process.stdout.write(`${directory}: the configuration ${verdict}${scope}\n`)
}
