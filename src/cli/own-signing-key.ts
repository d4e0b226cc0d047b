import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { SigningKey } from '../values/file-signing.js'
import { readAgentFolder } from './agent-folder.js'
import { AGENT_KEY_FILE, readSigningKey } from './key-files.js'
import { configIn, configName, type ServerOptions } from './server-options.js'

/** In the folder of a relay that `init` or `join` made. */
const SIGNING_KEY_NAME = 'sign.key'

interface SigningOptions extends ServerOptions {
  /** The key that signs; that of TLS is `tlsKey`. */
  readonly key: string
  readonly passphraseFile?: string
}

/**
 * The key that signs this node's files: that of `--key`, else that of the folder in `--config`, else an existing agent's.
 * @throws {UsageError} when it cannot be read or used
 */
export async function ownSigningKey(options: SigningOptions): Promise<SigningKey> {
  const { key, passphraseFile } = options
  if (key !== AGENT_KEY_FILE) return readSigningKey(key, passphraseFile)
  const folder = configIn(options)
  const agent = await readAgentFolder(folder, configName(options))
  if (agent !== undefined) return readSigningKey(agent.signingKeyFile, passphraseFile, 'signing_key_file')
  const ofRelay = folder === undefined ? undefined : join(folder, SIGNING_KEY_NAME)
  return readSigningKey(ofRelay !== undefined && existsSync(ofRelay) ? ofRelay : key, passphraseFile)
}
