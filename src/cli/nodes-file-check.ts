import { readFile } from 'node:fs/promises'
import { errorMessage } from './command-error.js'
import { whyUnreadable } from './named-file.js'

const KEY = 'general.nodes_list_file'

/**
 * @param parse as the relay does; throws what is wrong with the list
 * @returns what would keep a relay from using its nodes list: it starts all the same, and then knows no nodes
 */
export async function checkNodesFile(path: string, parse: (text: string) => void): Promise<string | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    return whyUnreadable(KEY, path, error)
  }
  try {
    parse(text)
    return undefined
  } catch (error) {
    return `${KEY}: ${errorMessage(error)}`
  }
}
