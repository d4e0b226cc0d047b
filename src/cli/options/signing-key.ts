import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { AGENT_KEY_FILE, type PrivateKeyFile, parseSigningKey } from '../../file-exchange/key-files.js'
import { readConfiguredFile, readNamedFile } from '../../file-exchange/places/named-file.js'
import type { SigningKey } from '../../keys/signatures/sign-file.js'
import { environmentPassphrase, PASSPHRASE_VARIABLE } from '../../process/passphrase.js'
import { readAgentFolder } from './agent-folder.js'
import { configIn, configName, type ServerOptions } from './connection-options.js'

/** The name of the key in a folder of a relay that `init` or `join` made. */
const RELAY_KEY_NAME = 'sign.key'

/** The options that name a key which signs files. */
export interface SigningKeyOptions extends Pick<ServerOptions, 'config'> {
  /** The key that signs; that of TLS is `tlsKey`. */
  readonly key: string
  readonly passphraseFile?: string
}

/**
 * The key that signs this node's files: that of `--key`, else that of the folder in `--config`, else an existing agent's.
 * @throws {InputError} when it cannot be read or used
 */
export async function readSigningKey(options: SigningKeyOptions): Promise<SigningKey> {
  const { passphraseFile } = options
  const text = passphraseFile === undefined ? environmentPassphrase() : await firstLineOf(passphraseFile)
  return parseSigningKey(await readKeyFile(options), {
    ...(text === undefined ? {} : { text }),
    givenBy: `--passphrase-file, or ${PASSPHRASE_VARIABLE}`
  })
}

async function readKeyFile(options: SigningKeyOptions): Promise<PrivateKeyFile> {
  const { key } = options
  if (key !== AGENT_KEY_FILE) return namedKey(key)
  const folder = configIn(options)
  const agent = await readAgentFolder(folder, configName(options))
  if (agent !== undefined) return configuredKey(agent.signingKeyFile)
  const ofRelay = folder === undefined ? undefined : join(folder, RELAY_KEY_NAME)
  return namedKey(ofRelay !== undefined && existsSync(ofRelay) ? ofRelay : key)
}

async function firstLineOf(passphraseFile: string): Promise<string> {
  return (await readNamedFile('--passphrase-file', passphraseFile)).split(/\r?\n/)[0] ?? ''
}

async function namedKey(path: string): Promise<PrivateKeyFile> {
  return { pem: await readNamedFile('--key', path), path }
}

async function configuredKey(path: string): Promise<PrivateKeyFile> {
  return { pem: await readConfiguredFile('signing_key_file', path), path }
}
