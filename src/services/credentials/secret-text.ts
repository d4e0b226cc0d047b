import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { SecretPlace } from '../../config/services/service-config.js'
import { readTextFile } from '../../file-system/files/text-file.js'
import { whyUnreadable } from '../../values/failures/file-failure.js'

const MAX_BYTES = 64 * 1024

/** The files of a place. @param keys of a mounted secret */
export function filesOfPlace(place: SecretPlace, keys: readonly string[]): string[] {
  if (place.kind === 'env') return []
  return place.kind === 'file' ? [place.path] : keys.map(key => join(place.folder, key))
}

/** The setting that a place was given by: `credentials.file`. */
export function settingOf({ kind }: SecretPlace): string {
  return `credentials.${kind}`
}

/**
 * Reads the texts of a place: one, or, from a mounted secret, one for each key.
 * @throws {Error} that names the file or the variable, and not what it holds
 */
export async function readPlace(place: SecretPlace, keys: readonly string[]): Promise<string[]> {
  if (place.kind !== 'env') {
    return Promise.all(filesOfPlace(place, keys).map(path => readServiceFile(settingOf(place), path)))
  }
  const text = process.env[place.name]
  if (text === undefined || text === '') {
    throw new Error(`credentials.env ${place.name}: there is no such variable in the environment of this process`)
  }
  return [text]
}

/** @param maxBytes that it may have @throws {Error} that names the file */
export async function readServiceFile(setting: string, path: string, maxBytes = MAX_BYTES): Promise<string> {
  try {
    const { size } = await stat(path)
    if (size > maxBytes) throw new Error(`it has ${size} bytes, and may have ${maxBytes} at most`)
    return await readTextFile(path)
  } catch (error) {
    throw new Error(whyUnreadable(setting, path, error), { cause: error })
  }
}
