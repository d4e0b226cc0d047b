import { parse, TomlError } from 'smol-toml'
import type { Findings } from './section.js'

/** Parses a TOML file; a syntax error is noted with its place, and gives an empty table. */
export function parseTomlTable(file: string, toml: string, findings: Findings): Readonly<Record<string, unknown>> {
  try {
    return parse(toml)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    // The rest of the message quotes lines of the file, which may hold a password.
    const [firstLine = ''] = error.message.split('\n')
    const reason = firstLine.replace(/^Invalid TOML document: /, '')
    findings.problems.push(`${file}: line ${error.line}, column ${error.column}: ${reason}`)
    return {}
  }
}
