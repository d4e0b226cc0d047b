import type { Config } from '../../config/config.js'
import { readConfiguredTextSync } from '../../file-system/files/text-file.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { HeaderSeals } from './header-seals.js'
import type { Sealing } from './sealed-fields.js'

/** A key with fewer characters could be guessed. */
const MIN_KEY_CHARS = 32
const MAX_KEYS_IN_FILE = 16

/**
 * Reads the keys of `services.seal_key_file`.
 * @returns undefined where no headers are sealed
 * @throws {Error} that names the file, when its keys cannot be used
 */
export function openSealing({
  sealHeaders,
  sealKeyFile
}: Pick<Config['services'], 'sealHeaders' | 'sealKeyFile'>): Sealing | undefined {
  if (sealKeyFile === undefined || sealHeaders.length === 0) return undefined
  const text = readConfiguredTextSync('services.seal_key_file', sealKeyFile)
  try {
    return { names: new Set(sealHeaders), seals: new HeaderSeals(parseSealKeys(text, sealKeyFile)) }
  } catch (error) {
    throw new Error(`services.seal_key_file ${errorMessage(error)}`, { cause: error })
  }
}

/** Reads the keys of seals, a line each. @param path of their file, for the message @throws {Error} */
export function parseSealKeys(text: string, path: string): [Buffer, ...Buffer[]] {
  const lines = text.split('\n').map(line => line.trim())
  const [first, ...others] = lines.filter(line => line !== '').map(line => Buffer.from(line))
  const isGood = (key: Buffer) => key.length >= MIN_KEY_CHARS
  if (first !== undefined && isGood(first) && others.every(isGood) && others.length < MAX_KEYS_IN_FILE) {
    return [first, ...others]
  }
  const rule = `1 to ${MAX_KEYS_IN_FILE} lines of at least ${MIN_KEY_CHARS} characters, such as openssl rand -hex 32 writes`
  throw new Error(`${path}: expected ${rule}`)
}
