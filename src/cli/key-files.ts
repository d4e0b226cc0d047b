import { createPrivateKey, type KeyObject } from 'node:crypto'
import type { SigningKey } from '../values/file-signing.js'
import { parseKeyHash } from '../values/key-hash.js'
import { errorCode, errorMessage, UsageError } from './command-error.js'
import { readConfiguredFile, readNamedFile } from './named-file.js'

/** Where an existing agent has its RSA key. */
export const AGENT_KEY_FILE = '/var/rudder/cfengine-community/ppkeys/localhost.priv'

/** With which every CFEngine agent encrypts that key: public, and no secret. */
const AGENT_PASSPHRASE = 'Cfengine passphrase'

/** Environment variable with the passphrase of the key. */
export const PASSPHRASE_VARIABLE = 'TREELINE_PASSPHRASE'

/** PKCS#8, DER, up to the 32 bytes of the key (RFC 8410, section 7). */
const PKCS8_PREFIX = {
  ed25519: Buffer.from('302e020100300506032b657004220420', 'hex'),
  x25519: Buffer.from('302e020100300506032b656e04220420', 'hex')
} as const

const SEAL_KEY_FORM = /^x25519:([A-Za-z0-9+/]{43}=)$/

/**
 * Reads the private key that signs files: RSA in any PEM form, encrypted or not, or Ed25519.
 * @param passphraseFile its first line is the passphrase; else {@link PASSPHRASE_VARIABLE}, else that of all agents
 * @param setting that names it, where no option does
 * @throws {UsageError} when it cannot be read or used
 */
export async function readSigningKey(
  path: string,
  passphraseFile: string | undefined,
  setting?: 'signing_key_file'
): Promise<SigningKey> {
  const passphrase =
    passphraseFile === undefined
      ? (process.env[PASSPHRASE_VARIABLE] ?? AGENT_PASSPHRASE)
      : ((await readNamedFile('--passphrase-file', passphraseFile)).split(/\r?\n/)[0] ?? '')
  const pem = setting === undefined ? readNamedFile('--key', path) : readConfiguredFile(setting, path)
  const key = parsePrivateKey(await pem, path, passphrase)
  if (key.asymmetricKeyType === 'rsa') return { kind: 'rsa', key }
  if (key.asymmetricKeyType === 'ed25519') return { kind: 'ed25519', seed: rawKey(key) }
  throw new UsageError(`${path} is a key of type ${key.asymmetricKeyType}: RSA or Ed25519 keys sign files`)
}

/** Reads the private key that opens sealed files. @returns 32 bytes @throws {UsageError} */
export async function readOpenKey(path: string): Promise<Uint8Array> {
  const key = parsePrivateKey(await readNamedFile('--open-key', path), path, undefined)
  if (key.asymmetricKeyType === 'x25519') return rawKey(key)
  throw new UsageError(
    `${path} is a key of type ${key.asymmetricKeyType}: X25519 keys open files (treeline key generate)`
  )
}

/**
 * The public key that a file is sealed for.
 * @param textOrPath `x25519:<base64>`, or a file with it
 * @returns 32 bytes
 * @throws {UsageError} when it is neither
 */
export async function readSealKey(textOrPath: string): Promise<Uint8Array> {
  const text = SEAL_KEY_FORM.test(textOrPath) ? textOrPath : (await readNamedFile('--seal', textOrPath)).trim()
  const [, base64] = SEAL_KEY_FORM.exec(text) ?? []
  if (base64 === undefined) throw new UsageError('--seal should be x25519:<base64 of 32 bytes>, or a file with it')
  return Buffer.from(base64, 'base64')
}

/** @throws {UsageError} when it is given and is no `key-hash`: no file could be by that key */
export function checkSourceKeyHash(text: string | undefined): void {
  if (text === undefined || parseKeyHash(text) !== undefined) return
  throw new UsageError('--source-key-hash should be sha256//<base64> or sha256:<hex> of a key, as in nodeslist.json')
}

/** As {@link readSealKey} takes it. */
export function formatSealKey(publicKey: Uint8Array): string {
  return `x25519:${Buffer.from(publicKey).toString('base64')}`
}

/** A private key as PKCS#8 PEM, which openssl reads too. @param raw 32 bytes */
export function formatPrivateKey(type: keyof typeof PKCS8_PREFIX, raw: Uint8Array): string {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX[type], raw]), format: 'der', type: 'pkcs8' })
  return String(key.export({ format: 'pem', type: 'pkcs8' }))
}

function parsePrivateKey(pem: string, path: string, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey(passphrase === undefined ? pem : { key: pem, passphrase })
  } catch (error) {
    const isLocked = errorCode(error) === 'ERR_MISSING_PASSPHRASE' || /decrypt/i.test(errorMessage(error))
    const why = isLocked
      ? `its passphrase is wrong: --passphrase-file, or ${PASSPHRASE_VARIABLE}`
      : 'it is no private key (PEM)'
    throw new UsageError(`${path} cannot be used: ${why}`, { cause: error })
  }
}

/** The 32 bytes at the end of the PKCS#8 form. */
function rawKey(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ format: 'der', type: 'pkcs8' }).subarray(-32))
}
