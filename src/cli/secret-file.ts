import { tell } from './config-problems.js'
import { exposureWarnings } from './exposed-files.js'
import { readNamedFile } from './named-file.js'

/** As {@link readNamedFile}, for a file with a secret in it: that others may read it is warned of on standard error. */
export async function readSecretFile(name: string, path: string): Promise<string> {
  const text = await readNamedFile(name, path)
  for (const warning of await exposureWarnings([{ key: name, path }])) tell(`warning: ${warning}`)
  return text
}
