import { tell } from './config-problems.js'
import { exposureWarnings } from './exposed-files.js'
import { readNamedFile } from './named-file.js'

/** Reads a file with a secret as {@link readNamedFile} does, and warns on standard error if other users may read it. */
export async function readSecretFile(name: string, path: string): Promise<string> {
  const text = await readNamedFile(name, path)
  for (const warning of await exposureWarnings([{ key: name, path }])) tell(`warning: ${warning}`)
  return text
}
