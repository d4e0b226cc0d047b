import { readRegularFile } from '../../file-system/files/regular-file.js'
import { whyUnreadable } from '../../values/failures/file-failure.js'
import { errorMessage } from '../../values/failures/system-error.js'

/**
 * @param setting that names the file
 * @param parse as the relay does; throws what is wrong with the file
 * @returns what would keep a relay from using its nodes list or their certificates: it starts all the same, and then
 *   knows no nodes
 */
export async function checkNodesFile(setting: string, path: string, parse: (bytes: Buffer) => void): Promise<string[]> {
  let bytes: Buffer
  try {
    bytes = await readRegularFile(path)
  } catch (error) {
    return [whyUnreadable(setting, path, error)]
  }
  try {
    parse(bytes)
    return []
  } catch (error) {
    return [`${setting}: ${errorMessage(error)}`]
  }
}
