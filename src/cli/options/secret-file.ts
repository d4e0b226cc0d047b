import { readNamedFile } from '../../file-exchange/places/named-file.js'
import { exposureWarnings } from '../checks/exposed-files.js'
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
export async function readSecretInput(): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of process.stdin) {
    const part = Buffer.from(chunk)
    bytes += part.length
    if (bytes > MAX_INPUT_BYTES)
      throw new UsageError(`standard input has more than ${MAX_INPUT_BYTES} bytes: it should be a secret alone`)
    chunks.push(part)
  }
  return Buffer.concat(chunks).toString('utf8')
}
