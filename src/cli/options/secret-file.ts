import { readNamedFile } from '../../file-exchange/places/named-file.js'
import { readWholeText } from '../../values/text/whole-text.js'
import { exposureWarnings } from '../checks/permissions/exposed-files.js'
import { UsageError } from '../command-error.js'
import { printDiagnostic } from '../output/diagnostic.js'

/**
 * Reads a file with a secret, and warns on standard error if other users may read it.
 * @param read reads the file
 */
export async function readSecretFile(name: string, path: string, read = readNamedFile): Promise<string> {
  const text = await read(name, path)
  for (const warning of await exposureWarnings([{ key: name, path }])) printDiagnostic(`warning: ${warning}`)
  return text
}

const MAX_INPUT_BYTES = 64 * 1024

/** All of standard input, for an option that was given as `-`. @throws {UsageError} for more than a secret can be */
export function readSecretInput(): Promise<string> {
  const tooLong = () =>
    new UsageError(`standard input has more than ${MAX_INPUT_BYTES} bytes: it should be a secret alone`)
  return readWholeText(process.stdin, MAX_INPUT_BYTES, tooLong)
}
