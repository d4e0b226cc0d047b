import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { AgentConfig } from '../../config/agent/agent-config.js'
import type { Config } from '../../config/config.js'
import { parseSigningKey } from '../../file-exchange/key-files.js'
import { readConfiguredFile } from '../../file-exchange/places/named-file.js'
import { signingPassphrase } from '../../process/passphrase.js'
import { errorMessage } from '../../values/failures/system-error.js'

const RELAY_KEY = 'the key that signs files,'

/** Warnings for a relay whose folder has a key that no file can be signed with. A relay without one signs nothing. */
export async function relayKeyWarnings({ directory }: Pick<Config, 'directory'>): Promise<string[]> {
  const path = join(directory, 'sign.key')
  return existsSync(path) ? keyWarnings(RELAY_KEY, path) : []
}

/** The same for an agent. */
export async function agentKeyWarnings({ keyFile, signingKeyFile }: AgentConfig): Promise<string[]> {
  return signingKeyFile === keyFile ? [] : keyWarnings('signing_key_file', signingKeyFile)
}

async function keyWarnings(setting: string, path: string): Promise<string[]> {
  try {
    parseSigningKey({ pem: await readConfiguredFile(setting, path), path }, signingPassphrase())
    return []
  } catch (error) {
    const reason = errorMessage(error)
    return [reason.startsWith(setting) ? reason : `${setting} ${reason}`]
  }
}
