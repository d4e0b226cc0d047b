import { createPrivateKey, type KeyObject } from 'node:crypto'
import { parseKeyHash } from '../keys/signatures/key-hash.js'
import type { SigningKey } from '../keys/signatures/sign-file.js'
import { InputError } from '../relay-client/client-error.js'
import { errorCode, errorMessage } from '../values/failures/system-error.js'
import { readNamedFile } from './places/named-file.js'

/** The file in which an existing agent has its RSA key. */
export const AGENT_KEY_FILE = '/var/rudder/cfengine-community/ppkeys/localhost.priv'

/** The passphrase with which every CFEngine agent encrypts that key: public, and no secret. */
const AGENT_PASSPHRASE = 'Cfengine passphrase'

/** The passphrase of a private key. */
export interface Passphrase {
  readonly text: string
  /** The option or setting that gives a right key, in the caller's words; for messages. */
  readonly givenBy: string
}

/** A private key in PEM form. */
export interface PrivateKeyFile {
  readonly pem: string
  /** The path, for messages. */
  readonly path: string
}

/** PKCS#8, DER, up to the 32 bytes of the key (RFC 8410, section 7). */
const PKCS8_PREFIX = {
  ed25519: Buffer.from('302e020100300506032b657004220420', 'hex'),
  x25519: Buffer.from('302e020100300506032b656e04220420', 'hex')
} as const

const SEAL_KEY_FORM = /^x25519:([A-Za-z0-9+/]{43}=)$/

/**
 * The private key that signs files: RSA in any PEM form, encrypted or not, or Ed25519.
 * @param passphrase when `text` is undefined, that of all agents is tried
 * @throws {InputError} when it cannot be used
 */
export function parseSigningKey(
  file: PrivateKeyFile,
  { text = AGENT_PASSPHRASE, givenBy }: Partial<Passphrase> & Pick<Passphrase, 'givenBy'>
): SigningKey {
  const key = parsePrivateKey(file, { text, givenBy })
  if (key.asymmetricKeyType === 'rsa') return { kind: 'rsa', key }
  if (key.asymmetricKeyType === 'ed25519') return { kind: 'ed25519', seed: rawKey(key) }
  throw new InputError(`${file.path} is a key of type ${key.asymmetricKeyType}: RSA or Ed25519 keys sign files`)
}

/** The private key that opens sealed files. @returns 32 bytes @throws {InputError} */
export function parseOpenKey(file: PrivateKeyFile): Uint8Array {
  const key = parsePrivateKey(file, undefined)
  if (key.asymmetricKeyType === 'x25519') return rawKey(key)
  throw new InputError(
    `${file.path} is a key of type ${key.asymmetricKeyType}: X25519 keys open files (treeline key generate)`
  )
}

/**
 * The public key that a file is sealed for.
 * @param textOrPath `x25519:<base64>`, or a file with it
 * @param name of the option or setting, for messages
 * @returns 32 bytes
 * @throws {InputError} when it is neither
 */
export async function readSealKey(name: string, textOrPath: string): Promise<Uint8Array> {
  const text = SEAL_KEY_FORM.test(textOrPath) ? textOrPath : (await readNamedFile(name, textOrPath)).trim()
  const [, base64] = SEAL_KEY_FORM.exec(text) ?? []
  if (base64 === undefined) throw new InputError(`${name} should be x25519:<base64 of 32 bytes>, or a file with it`)
  return Buffer.from(base64, 'base64')
}

/** @param name of the option, for messages @throws {InputError} when it is given and is no `key-hash`: no file could be by that key */
export function checkSourceKeyHash(name: string, text: string | undefined): void {
  if (text === undefined || parseKeyHash(text) !== undefined) return
  throw new InputError(`${name} should be sha256//<base64> or sha256:<hex> of a key, as in nodeslist.json`)
}

/** Formats a public key for {@link readSealKey}. */
export function formatSealKey(publicKey: Uint8Array): string {
  return `x25519:${Buffer.from(publicKey).toString('base64')}`
}

/** A private key as PKCS#8 PEM, which openssl reads too. @param raw 32 bytes */
export function formatPrivateKey(type: keyof typeof PKCS8_PREFIX, raw: Uint8Array): string {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX[type], raw]), format: 'der', type: 'pkcs8' })
  return String(key.export({ format: 'pem', type: 'pkcs8' }))
}

function parsePrivateKey({ pem, path }: PrivateKeyFile, passphrase: Passphrase | undefined): KeyObject {
  try {
    return createPrivateKey(passphrase === undefined ? pem : { key: pem, passphrase: passphrase.text })
  } catch (error) {
    const isLocked = errorCode(error) === 'ERR_MISSING_PASSPHRASE' || /decrypt/i.test(errorMessage(error))
    const why = isLocked
      ? `its passphrase is wrong${passphrase === undefined ? '' : `: ${passphrase.givenBy}`}`
      : pem.trim() === ''
        ? 'it is empty, as after an interruption: restore it from a backup, or remove it and make the key anew'
        : 'it is no private key (PEM)'
    throw new InputError(`${path} cannot be used: ${why}`, { cause: error })
  }
}

/** The 32 bytes at the end of the PKCS#8 form. */
function rawKey(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ format: 'der', type: 'pkcs8' }).subarray(-32))
}
