import { parse, TomlError } from 'smol-toml'
import type { Findings } from './section.js'

/** A value that begins as a text would, and is neither quoted nor `true`, `false`, `inf` or `nan`. */
const BARE_TEXT = /^\s*([\w.-]+)\s*=\s*(?!(?:true|false|inf|nan)\s*(?:#|$))[A-Za-z/]/

/** Parses a TOML file; a syntax error is noted with its place, and gives an empty table. */
export function parseTomlTable(file: string, toml: string, findings: Findings): Readonly<Record<string, unknown>> {
  try {
    return parse(toml)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    // The rest of the message quotes lines of the file, which may hold a password.
    const [firstLine = ''] = error.message.split('\n')
    const reason = withRemedy(firstLine.replace(/^Invalid TOML document: /, ''))
    // the key alone, for the same reason
    const [, key] = BARE_TEXT.exec(toml.split('\n')[error.line - 1] ?? '') ?? []
    const hint = key === undefined ? '' : `; a text needs quotes: ${key} = "…"`
    findings.problems.push(`${file}: line ${error.line}, column ${error.column}: ${reason}${hint}`)
    return {}
  }
}

/** The problems of a file, with the reason for all of them first where it is empty, as an interruption leaves it. */
export function problemsOfFile(file: string, toml: string, { problems }: Findings): readonly string[] {
  return toml.trim() === ''
    ? [`${file}: it is empty: restore it from a backup, or write it anew`, ...problems]
    : problems
}

/** A text whose closing quote is missing goes on to the end of its line, which the parser finds in it. */
function withRemedy(reason: string): string {
  return reason === 'control characters are not allowed in strings'
    ? 'this text has no closing quote on its line, or a control character in it'
    : reason
}
